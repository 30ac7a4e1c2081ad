"""Six invented laboratories that differ as real ones do."""

from dataclasses import dataclass

from mabe.data.simulate.arena import Arena
from mabe.data.simulate.plan import Widths

_SOCIAL = ("approach", "sniff", "sniffgenital", "sniffface")


_FIGHTING = ("attack", "chase", "escape", "defend")


_MATING = ("mount", "intromit", "attemptmount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """How one lab records, tracks and annotates."""

    name: str
    fps: float
    pixels_per_cm: float
    arena: Arena
    arena_shape: str
    arena_type: str
    animals: int
    body_parts: tuple[str, ...]
    pair_actions: tuple[str, ...]
    self_actions: tuple[str, ...]
    unwatched_self_actions: tuple[str, ...] = ()
    """Simulated, but not annotated."""
    missing_share: float
    jitter_cm: float
    widths: Widths
    tracking_method: str
    quotes_behaviours: bool = False
    """Names in `behaviors_labeled` are quoted, some of them twice."""
    labels_past_end: bool = False
    """Recordings are a few frames longer than their stated duration."""
    has_empty_label: bool = False
    """The first video has a label of zero length."""
    unlabelled: tuple[int, ...] = ()
    """Which of its videos, counted from 0, are not annotated."""
    without_actions: tuple[int, ...] = ()
    """Which of its videos were watched, but have no action and no annotation file."""


LABS = (
    Lab(
        name="CuriousVole",
        fps=30.0,
        pixels_per_cm=18.3,
        arena=Arena(width_cm=38, height_cm=24),
        arena_shape="rectangular",
        arena_type="resident-intruder",
        animals=2,
        body_parts=(
            *("ear_left", "ear_right", "hip_left", "hip_right"),
            *("neck", "nose", "tail_base"),
        ),
        pair_actions=(*_SOCIAL, *_MATING, "attack"),
        self_actions=("rear", "selfgroom"),
        missing_share=0.02,
        jitter_cm=0.05,
        widths=Widths(frame="int32", mouse="int8"),
        tracking_method="MARS",
        unlabelled=(3,),
    ),
    Lab(
        name="PatientHeron",
        fps=25.0,
        pixels_per_cm=9.7,
        arena=Arena(width_cm=60, height_cm=60),
        arena_shape="square",
        arena_type="familiar",
        animals=4,
        body_parts=(
            *("body_center", "ear_left", "ear_right"),
            *(
                f"headpiece_{height}{depth}{side}"
                for height in ("bottom", "top")
                for depth in ("back", "front")
                for side in ("left", "right")
            ),
            *("lateral_left", "lateral_right", "neck", "nose"),
            *("tail_base", "tail_midpoint", "tail_tip"),
        ),
        pair_actions=(
            *("approach", "attack", "avoid", "chase", "chaseattack", "submit"),
            *("sniff", "mount"),
        ),
        self_actions=("rear",),
        missing_share=0.15,
        jitter_cm=0.1,
        widths=Widths(frame="int16", mouse="int8"),
        tracking_method="SLEAP",
        labels_past_end=True,
    ),
    Lab(
        name="BraveOtter",
        fps=60.0,
        pixels_per_cm=16.0,
        arena=Arena(width_cm=38, height_cm=20),
        arena_shape="rectangular",
        arena_type="resident-intruder",
        animals=2,
        body_parts=(
            *("body_center", "ear_left", "ear_right", "lateral_left"),
            *("lateral_right", "nose", "tail_base", "tail_tip"),
        ),
        pair_actions=("sniff", "sniffbody", "attack", "dominance", "mount"),
        self_actions=("dig", "selfgroom"),
        missing_share=0.25,
        jitter_cm=0.12,
        widths=Widths(frame="int32", mouse="int16"),
        tracking_method="DeepLabCut",
        quotes_behaviours=True,
    ),
    Lab(
        name="QuietLynx",
        fps=10.0,
        pixels_per_cm=5.0,
        arena=Arena(width_cm=45, height_cm=45),
        arena_shape="square",
        arena_type="neutral",
        animals=3,
        body_parts=("ear_left", "ear_right", "nose", "tail_base", "tail_tip"),
        pair_actions=("attack", "chase", "sniff"),
        self_actions=(),
        unwatched_self_actions=("rear", "selfgroom"),
        missing_share=0.08,
        jitter_cm=0.15,
        widths=Widths(frame="int64", mouse="int64"),
        tracking_method="DeepLabCut",
        without_actions=(3,),
    ),
    Lab(
        name="NimbleGecko",
        fps=120.0,
        pixels_per_cm=65.0,
        arena=Arena(width_cm=31, height_cm=22),
        arena_shape="rectangular",
        arena_type="neutral",
        animals=2,
        body_parts=("ear_left", "ear_right", "head", "tail_base"),
        pair_actions=(*_SOCIAL, *_FIGHTING, "mount", "intromit"),
        self_actions=("rear", "freeze", "climb", "rest", "run"),
        missing_share=0.35,
        jitter_cm=0.08,
        widths=Widths(frame="int16", mouse="int32"),
        tracking_method="SLEAP",
        has_empty_label=True,
    ),
    Lab(
        name="SolemnBadger",
        fps=24.98,
        pixels_per_cm=12.5,
        arena=Arena(width_cm=38, height_cm=38, is_round=True),
        arena_shape="circular",
        arena_type="neutral",
        animals=2,
        body_parts=(
            *("body_center", "ear_left", "ear_right", "hip_left", "hip_right"),
            *("lateral_left", "lateral_right", "nose", "spine_1", "spine_2"),
            *("tail_base", "tail_middle_1", "tail_middle_2", "tail_tip"),
        ),
        pair_actions=(
            *("sniff", "reciprocalsniff", "sniffgenital", "follow"),
            *("mount", "intromit", "attack", "chase", "flinch"),
        ),
        self_actions=("rear", "selfgroom", "huddle"),
        missing_share=0.1,
        jitter_cm=0.07,
        widths=Widths(frame="int32", mouse="int8"),
        tracking_method="DeepLabCut",
        unlabelled=(3,),
    ),
)
