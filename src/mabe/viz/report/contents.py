"""All that a report shows besides the study of its views, as plain values."""

from dataclasses import dataclass

from mabe.training.history import Epoch
from mabe.viz.result_summary import ResultSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCurve:
    """How one run was trained."""

    name: str
    epochs: tuple[Epoch, ...]
    used_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFrames:
    """How many frames of a class there were."""

    name: str
    learned: int
    held_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check of `mabe check`."""

    name: str
    verdict: str
    """ok, warning, failed or skipped."""
    found: str
    advice: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the run."""

    key: str
    value: str
    is_usual: bool
    """As it is where nothing is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that a report shows."""

    run: str
    data: str
    """The name of the data that the scores are of; empty where it is not known."""
    recordings: str
    """In words: which recordings, and how they relate to the training."""
    notes: tuple[str, ...]
    """Notes that are needed to interpret the scores."""
    study: ResultSummary
    curves: tuple[TrainingCurve, ...]
    class_frames: tuple[ClassFrames, ...]
    """Empty where the run did not write them down."""
    settings: tuple[Setting, ...]
    circumstances: tuple[tuple[str, str], ...]
    """Versions, device, data, command."""
    checks: tuple[Check, ...]
