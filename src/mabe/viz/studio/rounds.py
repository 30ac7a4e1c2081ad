"""Rounds of training, each a folder ``studio/rounds/N`` of the data set.

A round holds a model (a run directory for `mabe predict`), its predictions of every
recording, what it predicts of each stretch, and ``round.json``, which is written last:
without it a round was cancelled or stopped, and is not used.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from mabe.errors import DataError
from mabe.metrics.confidence_interval import FEWEST_TRACKS
from mabe.runtime.console import count
from mabe.runtime.documents import read_json
from mabe.runtime.file_names import path_under
from mabe.runtime.files import write_json

TRUST = "trust.json"
"""The file of a round that `mabe.viz.studio.trust` writes."""


WIDE_FROM = 0.4
"""An interval of F1 that is so wide says little."""


KEPT = 2
"""Rounds of which the predictions are kept."""


FEWEST_BOUTS = 5
"""An action with fewer labelled bouts is not ready."""


READY_FROM = 0.6
"""F1 on recordings not learned from, from which an action counts as ready."""


@dataclass(frozen=True, slots=True)
class Round:
    """One finished round."""

    folder: Path
    about: dict[str, Any]
    """What ``round.json`` holds, see `mabe.viz.studio.worker`."""

    @property
    def number(self) -> int:
        """The number of the round, from 1."""
        return int(self.folder.name)

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that its model predicts."""
        return tuple(each["name"] for each in self.about["actions"])

    @property
    def trust(self) -> dict[str, Any] | None:
        """What ``trust.json`` holds; None until it is measured."""
        path = self.folder / TRUST
        try:
            return dict(read_json(path)) if path.is_file() else None
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{path}: cannot be read: {error}; remove the file"
            ) from None

    def predictions(self, name: str) -> Path:
        """Return the file with the predictions of a recording, ``LAB/VIDEO``."""
        lab, _, video = name.partition("/")
        return path_under(self.folder / "predictions", lab, video, ending=".npz")


def rounds_folder(data: Path) -> Path:
    """Return where the rounds of a data set are."""
    return data / "studio" / "rounds"


def finished_rounds(data: Path) -> list[Round]:
    """Return the finished rounds of a data set in their order."""
    rounds = []
    for path in rounds_folder(data).glob("*/round.json"):
        if path.parent.name.isdigit():
            try:
                rounds.append(Round(path.parent, dict(read_json(path))))
            except (OSError, ValueError, TypeError) as error:
                raise DataError(
                    f"{path}: cannot be read: {error}; remove the folder"
                ) from None
    return sorted(rounds, key=lambda each: each.number)


@contextmanager
def new_round(data: Path) -> Iterator[Path]:
    """Provide the folder of a new round; another process waits until it is finished.

    What a stopped one has left is removed.
    """
    rounds_folder(data).mkdir(parents=True, exist_ok=True)
    with FileLock(rounds_folder(data) / ".lock"):
        yield _begin_round(data)


def _begin_round(data: Path) -> Path:
    finished = finished_rounds(data)
    number = finished[-1].number + 1 if finished else 1
    folder = rounds_folder(data) / str(number)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def finish_round(data: Path, folder: Path, about: dict[str, Any]) -> None:
    """Write what a round is about, and remove the predictions of early ones."""
    write_json(folder / "round.json", about)
    for each in finished_rounds(data)[:-KEPT]:
        shutil.rmtree(each.folder / "predictions", ignore_errors=True)
        (each.folder / "stretches.npz").unlink(missing_ok=True)


def reasons_not_ready(action: dict[str, Any]) -> list[str]:
    """Return why the predictions of an action are not to be trusted yet."""
    reasons = []
    if action["bouts"] < FEWEST_BOUTS:
        reasons.append(
            f"{count(action['bouts'], 'labelled bout')}, at least {FEWEST_BOUTS}"
        )
    if action["recordings"] < 2:
        reasons.append("labelled in one recording only, so not scored")
    elif action["f1"] is None:
        reasons.append("no score: nothing of it in recordings held out")
    elif action["f1"] < READY_FROM:
        reasons.append(f"F1 {action['f1']:.2f}, below {READY_FROM}")
    elif action["recordings"] < FEWEST_TRACKS:
        number = action["recordings"]
        known = count(number, "recording")
        reasons.append(f"{known}, an interval needs {FEWEST_TRACKS}")
    interval = action.get("interval")
    if interval and interval[1] - interval[0] >= WIDE_FROM:
        low, high = interval
        reasons.append(f"F1 is uncertain: {low:.2f} to {high:.2f} (95 %)")
    return reasons
