"""Where predictions come from: written with them, carried into every export.

``provenance.json`` beside ``bouts.csv`` names the recogniser by its hash, the rules by
which it decided, and for each recording its file and the hash of what was tracked.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mabe.errors import DataError
from mabe.files import write_json

FILE_NAME = "provenance.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One recording that was marked."""

    lab: str
    video: str
    fps: float
    length: int
    """Frames."""
    animals: tuple[str, ...]
    """The lab's names of mouse1, mouse2 …, where they are known."""
    tracks_hash: str
    """Of what was tracked, whatever file it is in; see `Recording.tracking_hash`."""
    file: str | None = None
    file_hash: str | None = None
    notes: tuple[str, ...] = ()
    """What was assumed or substituted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionProvenance:
    """What made a folder of predictions, and of what."""

    mabe: str
    """The version."""
    model: str
    model_hash: str
    task: str
    actions: tuple[str, ...]
    """All that could have been predicted."""
    rules: dict[str, Any]
    """Thresholds and smoothing."""
    rate_fps: float
    variants: int
    sources: tuple[Source, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return json.loads(json.dumps(asdict(self)))

    def about(self, source: Source) -> dict[str, Any]:
        """Return the provenance of one recording's predictions."""
        return {**self.to_json(), "sources": [json.loads(json.dumps(asdict(source)))]}


def write_provenance(folder: Path, provenance: PredictionProvenance) -> None:
    """Write `provenance.json` into a folder of predictions."""
    write_json(folder / FILE_NAME, provenance.to_json())


def read_provenance(folder: Path) -> PredictionProvenance:
    """Return the provenance of a folder of predictions.

    Raises `DataError` where there is none, or it is broken.
    """
    path = folder / FILE_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        sources = tuple(
            Source(
                **{
                    **each,
                    "animals": tuple(each["animals"]),
                    "notes": tuple(each["notes"]),
                }
            )
            for each in values["sources"]
        )
        return PredictionProvenance(
            **{**values, "sources": sources, "actions": tuple(values["actions"])}
        )
    except FileNotFoundError:
        raise DataError(
            f"{folder}: no {FILE_NAME} here; expected a folder that `mabe predict` "
            "wrote. Predict again: older versions wrote none."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not readable ({error}); predict again.") from None
