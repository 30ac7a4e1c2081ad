"""Agreement of two observations of the same recordings: bouts, frames and measures.

Both are compared in the frames that both watched for an action. Where one is of scenes,
which have no agent and target, the other's actions count for any animals.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mabe.bouts import SCENE, Spans, Watched
from mabe.measures.bout_measures import (
    BoutMeasures,
    actor_series,
    measure_bouts,
)
from mabe.measures.observation import Observation, count_frames
from mabe.metrics.banos import Banos, edge_errors, score_banos
from mabe.metrics.binary_agreement import (
    NO_FRAMES,
    FrameCounts,
    count_agreement,
    count_with_tolerance,
)
from mabe.metrics.bout_scores import count_matches
from mabe.metrics.method_agreement import MethodAgreement, compare_methods

MEASURES = ("share", "total_s", "bouts", "per_min", "mean_s", "latency_s")
"""The measures whose uncertainty is given."""


LEVELS = ("recording", "animal", "pair")
"""What one value of a measure is of, by the number of animals of its actor."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two observations of one recording, in the frames that both watched."""

    one: Observation
    """The reference: annotated, or the first annotator."""
    other: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAgreement:
    """One row: an action of one recording and pair."""

    one: str
    other: str
    """What is compared: sources, or recordings of one track by two annotators."""
    lab: str
    recording: str
    agent: str
    target: str
    action: str
    watched_s: float
    bouts: int
    other_bouts: int
    banos: Banos
    f1_half: float
    """F1 of bouts that match where they share more than half of their union."""
    f1: float
    """F1 of frames."""
    f1_tolerant: float
    """F1 of frames without disagreements near the edges of detected bouts."""
    kappa: float
    onset_late_s: float
    """Median over detected bouts; negative is early."""
    offset_late_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionAgreement:
    """One row: an action over all recordings and pairs.

    Counts of frames and bouts add up; the figures of BANOS are means over recordings
    and pairs, as BANOS defines it.
    """

    one: str
    other: str
    action: str
    rows: int
    """Recordings and pairs."""
    watched_s: float
    bouts: int
    other_bouts: int
    banos: Banos
    f1_half: float
    f1: float
    f1_tolerant: float
    kappa: float
    onset_late_s: float
    onset_error_s: float
    """Median distance of the starts, without sign."""
    offset_late_s: float
    offset_error_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureAgreement:
    """One row: how far a measure of predicted bouts is from that of annotated ones."""

    action: str
    measure: str
    level: str
    """The units: one of `LEVELS`."""
    agreement: MethodAgreement


def compare(one: Observation, other: Observation) -> Compared:
    """Return two observations in the frames that both watched."""
    views = {(entry.agent, entry.target) for entry in (*one.watched, *other.watched)}
    if (SCENE.agent, SCENE.target) in views:
        one, other = _as_scene(one), _as_scene(other)
    shared = one.within(other.watched)
    return Compared(shared, other.within(shared.watched))


def _as_scene(observation: Observation) -> Observation:
    """Return the same with each action of any animals as one of the scene."""
    groups: dict[str, list[Watched]] = defaultdict(list)
    for entry in observation.entries:
        groups[entry.action].append(entry)
    joined = {
        Watched(SCENE.agent, SCENE.target, action): observation.joined(entries)
        for action, entries in groups.items()
    }
    return replace(
        observation,
        spans={entry: spans for entry, (spans, _) in joined.items()},
        watched={entry: watched for entry, (_, watched) in joined.items()},
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """What is counted of one action of one recording and pair."""

    compared: Compared
    entry: Watched
    frames: FrameCounts
    tolerant: FrameCounts
    banos: Banos
    matches: int
    onset_s: np.ndarray
    offset_s: np.ndarray

    @property
    def spans(self) -> tuple[Spans, Spans]:
        one, other = self.compared.one, self.compared.other
        return one.spans[self.entry], other.spans[self.entry]

    @property
    def watched_s(self) -> float:
        one = self.compared.one
        return count_frames(one.watched[self.entry]) / one.recording.fps


def _count(compared: Compared, tolerance_s: float) -> Iterator[_Counted]:
    one, other = compared.one, compared.other
    fps = one.recording.fps
    for entry in one.entries:
        spans, predicted = one.spans[entry], other.spans[entry]
        frames = count_frames(one.watched[entry])
        errors = edge_errors(spans, predicted)
        yield _Counted(
            compared,
            entry,
            count_agreement(spans, predicted, frames),
            count_with_tolerance(spans, predicted, frames, round(tolerance_s * fps)),
            score_banos(spans, predicted),
            count_matches(spans, predicted),
            errors.onset / fps,
            errors.offset / fps,
        )


def measure_agreement(
    compared: Iterable[Compared], *, tolerance_s: float
) -> tuple[list[EntryAgreement], list[ActionAgreement]]:
    """Return the agreement on each action: of each recording and pair, and of all."""
    counted = [each for pair in compared for each in _count(pair, tolerance_s)]
    groups: dict[tuple[str, str, str], list[_Counted]] = defaultdict(list)
    for each in counted:
        names = _names(each.compared)
        groups[*names, each.entry.action].append(each)
    return (
        [_entry_row(each) for each in counted],
        [_action_row(key, group) for key, group in sorted(groups.items())],
    )


def _names(compared: Compared) -> tuple[str, str]:
    """Return what is compared: sources, or videos where the source is the same."""
    one, other = compared.one, compared.other
    if one.source != other.source:
        return one.source, other.source
    return "/".join(one.key), "/".join(other.key)


def _entry_row(each: _Counted) -> EntryAgreement:
    one, (spans, others) = each.compared.one, each.spans
    first, second = _names(each.compared)
    return EntryAgreement(
        one=first,
        other=second,
        lab=one.recording.lab,
        recording=one.recording.video,
        agent=one.name_of(each.entry.agent),
        target=one.target_name(each.entry),
        action=each.entry.action,
        watched_s=each.watched_s,
        bouts=len(spans),
        other_bouts=len(others),
        banos=each.banos,
        f1_half=_f1(each.matches, len(spans), len(others)),
        f1=each.frames.f1,
        f1_tolerant=each.tolerant.f1,
        kappa=each.frames.kappa,
        onset_late_s=_median(each.onset_s),
        offset_late_s=_median(each.offset_s),
    )


def _action_row(
    key: tuple[str, str, str], group: Sequence[_Counted]
) -> ActionAgreement:
    bouts = sum(len(each.spans[0]) for each in group)
    others = sum(len(each.spans[1]) for each in group)
    onset = np.concatenate([each.onset_s for each in group])
    offset = np.concatenate([each.offset_s for each in group])
    frames = sum((each.frames for each in group), NO_FRAMES)
    return ActionAgreement(
        one=key[0],
        other=key[1],
        action=key[2],
        rows=len(group),
        watched_s=sum(each.watched_s for each in group),
        bouts=bouts,
        other_bouts=others,
        banos=_mean_banos([each.banos for each in group]),
        f1_half=_f1(sum(each.matches for each in group), bouts, others),
        f1=frames.f1,
        f1_tolerant=sum((each.tolerant for each in group), NO_FRAMES).f1,
        kappa=frames.kappa,
        onset_late_s=_median(onset),
        onset_error_s=_median(np.abs(onset)),
        offset_late_s=_median(offset),
        offset_error_s=_median(np.abs(offset)),
    )


def _mean_banos(scores: Sequence[Banos]) -> Banos:
    means = {}
    for name in Banos.__slots__:
        values = np.array([getattr(each, name) for each in scores])
        known = values[np.isfinite(values)]
        means[name] = float(known.mean()) if len(known) else np.nan
    return Banos(**means)


def _f1(matches: int, one: int, other: int) -> float:
    return 2 * matches / (one + other) if one + other else np.nan


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else np.nan


def measure_uncertainty(compared: Sequence[Compared]) -> list[MeasureAgreement]:
    """Return how far each measure of the predicted bouts is from the annotated one.

    The units are the actors of each recording.
    """
    values: dict[tuple[str, str], list[tuple[BoutMeasures, BoutMeasures]]]
    values = defaultdict(list)
    for pair in compared:
        fps = pair.one.recording.fps
        rows = zip(actor_series(pair.one), actor_series(pair.other), strict=True)
        for (actor, one), (_, other) in rows:
            level = LEVELS[len(actor.animals)]
            values[one.place.action, level].append(
                (
                    measure_bouts(one.spans, one.watched, fps),
                    measure_bouts(other.spans, other.watched, fps),
                )
            )
    return [
        MeasureAgreement(
            action=action,
            measure=name,
            level=level,
            agreement=compare_methods(
                np.array([getattr(one, name) for one, _ in pairs], float),
                np.array([getattr(other, name) for _, other in pairs], float),
            ),
        )
        for (action, level), pairs in sorted(values.items())
        for name in MEASURES
    ]
