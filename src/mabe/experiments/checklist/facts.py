"""Facts about a run, its predictions and its data.

A *track* is the content hash of a recording's poses, whatever its name. Predictions are
*out of fold* where the model did not learn from the recording.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mabe.scene_task import TaskKind
from mabe.training.history import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """How one run was trained."""

    name: str
    epochs: tuple[Epoch, ...]
    """At least one."""
    planned_epochs: int
    patience: int
    """Epochs without a better macro F1 after which it stops early; 0: never."""
    is_annealed: bool
    """The learning rate falls to its end over the planned epochs (a cosine)."""
    used_epoch: int
    """Which epoch's model is used, counted from 1."""

    def __post_init__(self) -> None:
        if not 1 <= self.used_epoch <= len(self.epochs):
            raise ValueError(
                f"run {self.name}: epoch {self.used_epoch} of {len(self.epochs)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFacts:
    """What one model was trained on, validated on and has predicted."""

    name: str
    trained_on: frozenset[str]
    """Tracks."""
    validated_on: frozenset[str]
    answered: frozenset[str] = frozenset()
    """Tracks of its own out-of-fold answers; empty where none are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """How well one class (or action) is found in recordings held out."""

    name: str
    f1: float | None
    """None: no frame of it was labelled."""
    recall: float | None
    labelled: int
    """Frames that people gave it."""
    is_predicted: bool
    """Some frame that counts was given to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFacts:
    """Scores on recordings held out."""

    macro_f1: float | None
    """Mean over classes (scene), or as the challenge scores (pair)."""
    macro_from: str
    """On what, in words."""
    classes: tuple[ClassScore, ...]
    """Of a scene, the first is "nothing of interest"."""
    classes_from: str


@dataclass(frozen=True, slots=True)
class ClassCalibration:
    """How far one class's probabilities are from what happened (expected error)."""

    name: str
    given: float | None
    """As the model gives them; None without a frame."""
    refined: float | None
    """As its tuned rules refine them; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFacts:
    """Expected errors of all classes."""

    classes: tuple[ClassCalibration, ...]
    is_tuned: bool
    """The model has rules of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFacts:
    """What a lab's recordings hold."""

    lab: str
    recordings: int
    missing_share: float
    """Of the points of the (animal, keypoint) that occur, over all frames."""
    keypoints: frozenset[str]
    """Those that occur in some recording."""
    bouts: Mapping[str, int]
    """Of every action that was watched; 0: never annotated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What a data set holds."""

    labs: tuple[LabFacts, ...]
    recordings: int
    unlabelled: int
    """Nobody annotated them."""
    without_bouts: tuple[str, ...]
    """Annotated, without a bout."""
    untracked: tuple[str, ...]
    """Not one point in them."""
    names_of: Mapping[str, tuple[str, ...]]
    """For each track, the recordings it is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionFacts:
    """What is wrong with a submission file."""

    path: str
    rows: int = 0
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    against_data: bool
    """Checked against the metadata of its videos too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the checks look at; what is not there is None or empty."""

    kind: TaskKind
    trainings: tuple[TrainingFacts, ...]
    members: tuple[MemberFacts, ...]
    answered: frozenset[str]
    """Tracks of the out-of-fold answers, of all members together."""
    scores: ScoreFacts | None
    calibration: CalibrationFacts | None
    data: DataFacts | None
    submission: SubmissionFacts | None
