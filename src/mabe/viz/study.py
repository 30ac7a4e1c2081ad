"""What there is to tell of lanes, gathered one lane at a time.

Counts are kept of every lane; pictures (bouts and curves) of each too, as small as
they can be, so that a data set of any length is never in memory as a whole.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import NO_ACTION, Spans, find_spans
from mabe.decoding.bootstrap import Confidence, confidence_of_counts
from mabe.decoding.calibration import Reliability, measure_reliability
from mabe.decoding.calibration_of_views import tally_answers
from mabe.decoding.rules import DecisionRules
from mabe.decoding.views import Lane, count_confusion
from mabe.metrics.frame_scores import count_frames, f1_scores, macro_f1
from mabe.scene_task import TaskKind
from mabe.viz.downsampling import average_columns, keep_corners
from mabe.viz.error_types import BadBout, Faults, find_bad_bouts, find_faults


@dataclass(frozen=True, slots=True)
class Stretch:
    """A bout as it is drawn, in seconds."""

    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """One answer in a picture of a lane."""

    answer: int
    seen: tuple[Stretch, ...]
    found: tuple[Stretch, ...]
    curve: tuple[tuple[float, float], ...]
    """Corners of the probability: (second, probability)."""
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One lane as it is drawn."""

    lab: str
    video: str
    who: str
    duration_s: float
    not_counted: tuple[Stretch, ...]
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """The recording as messages and outputs name it."""
        return f"{self.lab}/{self.video}"

    @property
    def bouts(self) -> int:
        """How many bouts are drawn."""
        return sum(len(row.seen) + len(row.found) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingScore:
    """How one recording, with all its lanes, does."""

    lab: str
    video: str
    macro_f1: float
    f1: tuple[float, ...]
    """Of each answer; NaN where people saw none of it."""
    counted_s: float


@dataclass(frozen=True, slots=True)
class PlacedBout:
    """A bad bout, and where it is."""

    lab: str
    video: str
    who: str
    bout: BadBout


@dataclass(frozen=True, slots=True, kw_only=True)
class LabResult:
    """How one lab's recordings do."""

    lab: str
    recordings: int
    confidence: Confidence


@dataclass(slots=True)
class Study:
    """All that is known of some lanes."""

    kind: TaskKind
    answers: tuple[str, ...]
    rules: DecisionRules
    pictures: list[Picture] = field(default_factory=list)
    bad_bouts: list[PlacedBout] = field(default_factory=list)
    faults: list[Faults] = field(default_factory=list)
    counts: dict[tuple[str, str, str], Int[np.ndarray, "answers 3"]] = field(
        default_factory=dict
    )
    """Of each (lab, video, track): frames labelled, predicted and hit."""
    counted_s: dict[tuple[str, str], float] = field(
        default_factory=lambda: defaultdict(float)
    )
    confusion: Int[np.ndarray, "seen found"] | None = None
    """Frames by what people saw (row) and what was found."""
    tally: Int[np.ndarray, "answers bins 2"] | None = None

    @property
    def interesting(self) -> range:
        """The answers that make bouts."""
        return self.kind.bout_classes(len(self.answers))

    def add(self, lane: Lane) -> None:
        """Take in one lane."""
        key = lane.lab, lane.video, lane.track
        judged = np.where(np.isnan(lane.probabilities).all(1), NO_ACTION, lane.chosen)
        counts = count_frames(judged, lane.labels)
        self.counts[key] = self.counts.get(key, 0) + counts
        self.counted_s[key[:2]] += float(lane.counted.sum()) / lane.fps
        confusion = count_confusion(lane, self.kind)
        before = self.confusion
        self.confusion = confusion if before is None else before + confusion
        tally = tally_answers([lane.evidence()], self.rules)
        self.tally = tally if self.tally is None else self.tally + tally
        faults = [find_faults(lane, answer) for answer in range(len(self.answers))]
        if self.faults:
            faults = [a + b for a, b in zip(self.faults, faults, strict=True)]
        self.faults = faults
        self.bad_bouts += [
            PlacedBout(lane.lab, lane.video, lane.who, bout)
            for answer in self.interesting
            for bout in find_bad_bouts(lane, answer)
        ]
        self.pictures.append(draw(lane, self.rules, self.interesting))

    def confidence(self, lab: str | None = None) -> Confidence:
        """Return the score, of one lab if named, and where it would be with others."""
        kept = {key: c for key, c in self.counts.items() if lab in (None, key[0])}
        labs = sorted({key[0] for key in kept})
        tracks = sorted({key[2] for key in kept})
        table = np.zeros((len(tracks), len(labs), len(self.answers), 3), np.int64)
        for (its_lab, _, track), counts in kept.items():
            table[tracks.index(track), labs.index(its_lab)] += counts
        return confidence_of_counts(table, self.kind)

    def of_labs(self) -> list[LabResult]:
        """Return how each lab does, the worst first."""
        labs = sorted({key[0] for key in self.counts})
        results = [
            LabResult(
                lab=lab,
                recordings=len({key for key in self.counts if key[0] == lab}),
                confidence=self.confidence(lab),
            )
            for lab in labs
        ]
        return sorted(results, key=lambda each: _worst_first(each.confidence.score))

    def of_recordings(self) -> list[RecordingScore]:
        """Return how each recording does, the worst first."""
        results = []
        for (lab, video, _), counts in self.counts.items():
            scores = f1_of(counts)
            results.append(
                RecordingScore(
                    lab=lab,
                    video=video,
                    macro_f1=float(macro_f1(counts[None], self.kind)),
                    f1=tuple(scores.tolist()),
                    counted_s=self.counted_s[lab, video],
                )
            )
        return sorted(results, key=lambda each: _worst_first(each.macro_f1))

    def reliability(self) -> list[Reliability]:
        """Return, for each answer, probabilities beside what happened."""
        assert self.tally is not None
        return [measure_reliability(tally) for tally in self.tally]

    def pictures_with_rows(self) -> list[Picture]:
        """Return the pictures in which there is something to see."""
        return [picture for picture in self.pictures if picture.rows]

    def worst_bouts(self, most: int) -> list[PlacedBout]:
        """Return the longest bouts that are missed or false as a whole."""
        longest = sorted(self.bad_bouts, key=lambda placed: -placed.bout.seconds)
        return longest[:most]


def draw(lane: Lane, rules: DecisionRules, interesting: Sequence[int]) -> Picture:
    """Return one lane as it is drawn; answers of which nothing is known are not."""
    thresholds = [
        rule.lab_thresholds.get(lane.lab, rule.threshold) for rule in rules.classes
    ]
    rows = []
    for answer in interesting:
        seen, found = lane.seen(answer), lane.found(answer)
        probabilities = lane.probabilities[:, answer]
        if not len(seen) and not len(found) and not np.isfinite(probabilities).any():
            continue
        columns = average_columns(probabilities)
        step_s = lane.duration_s / max(1, len(columns))
        rows.append(
            Row(
                answer,
                _stretches(seen, lane.fps),
                _stretches(found, lane.fps),
                tuple(
                    ((place + 0.5) * step_s, probability)
                    for place, probability in keep_corners(columns)
                ),
                thresholds[answer],
            )
        )
    return Picture(
        lab=lane.lab,
        video=lane.video,
        who=lane.who,
        duration_s=lane.duration_s,
        not_counted=_stretches(find_spans(~lane.counted), lane.fps),
        rows=tuple(rows),
    )


def f1_of(counts: Int[np.ndarray, "answers 3"]) -> Float[np.ndarray, " answers"]:
    """Return the F1 of each answer; NaN where people saw none of it."""
    return f1_scores(counts, TaskKind.SCENE)


def _stretches(spans: Spans, fps: float) -> tuple[Stretch, ...]:
    return tuple(Stretch(start, stop) for start, stop in (spans / fps).tolist())


def _worst_first(score: float) -> float:
    """Order by score; what has none goes last."""
    return score if np.isfinite(score) else np.inf
