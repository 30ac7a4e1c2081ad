"""A run on a rented machine: started, stopped at any moment, and resumed.

The run directory is on the machine's own disk while it is written, and is copied into
the volume every few epochs, when the machine is taken away, and at the end. (A volume
with open files cannot be brought up to date, and a lock or a memory map is one.) In the
volume, too, the state to resume from is written last. So whatever moment a machine dies
at, the next one resumes the run, with the same result.

A run is identified by its name: the same name resumes it, whether a machine
was lost, its day was over, or the user starts it again.
"""

import filecmp
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mabe.config import RunConfig, build_config
from mabe.data.store import is_store
from mabe.errors import DataError, MabeError, RunError, StopRequested
from mabe.runtime.console import print_lines
from mabe.training.history import Epoch
from mabe.training.modal.costs import Machine, describe_spent, describe_to_come
from mabe.training.modal.volume import data_folder, ledger_path, run_folder
from mabe.training.run import train
from mabe.training.run_directory import is_documented

COMMIT_EPOCHS = 5
"""So often a run is copied into the volume…"""


COMMIT_S = 15 * 60
"""…and after this time, where epochs are long."""


LONGEST_S = 23.5 * 3600
"""Modal ends any call after 24 hours; we stop before, so that nothing is lost."""


_FIRST = ("config.yaml", "run.json")


_LAST = "state.pt"


class TimeIsUp(Exception):
    """The time limit of a call is reached; Modal starts it again, to resume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedVolume:
    """The mounted volume, the machine's disk, and the state of Modal's calls."""

    root: Path
    disk: Path
    """A folder on the machine's own disk, the same on each machine."""
    commit: Callable[[], Any]
    """Makes what was written here permanent, and visible to other machines."""
    reload: Callable[[], Any]
    """Makes what other machines wrote visible here."""
    call: str
    """The call that this is part of; the same after a machine was lost."""
    is_running: Callable[[str], bool]
    """Tells whether another call has not ended."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Who writes a run, and what it has cost so far."""

    writer: str
    seconds: float = 0.0
    usd: float = 0.0


@dataclass(slots=True)
class RunKeeper:
    """Copies a run into the volume, and notes what it costs."""

    run_dir: Path
    volume: MountedVolume
    name: str
    machine: Machine
    epochs: int
    before: Ledger
    longest_s: float = LONGEST_S
    began: float = field(default_factory=time.monotonic)
    saved_at: float = field(default_factory=time.monotonic)

    def __call__(self, history: Sequence[Epoch]) -> None:
        """Do what is due after an epoch; raises `TimeIsUp` when the day is over."""
        now = time.monotonic()
        is_due = len(history) % COMMIT_EPOCHS == 0 or now - self.saved_at > COMMIT_S
        if is_due or len(history) == 1:
            spent = self.ledger()
            to_come = describe_to_come(
                history, epochs=self.epochs, machine=self.machine
            )
            print_lines(f"  So far {describe_spent(spent.seconds, spent.usd)}{to_come}")
        if is_due:
            self.save()
        if now - self.began > self.longest_s:
            raise TimeIsUp(f"{self.name}: stopped, to be resumed by a new call")

    def ledger(self) -> Ledger:
        """Return what the run has cost up to now."""
        seconds = time.monotonic() - self.began
        return replace(
            self.before,
            seconds=self.before.seconds + seconds,
            usd=self.before.usd + seconds / 3600 * self.machine.usd_per_hour,
        )

    def save(self) -> None:
        """Copy what changed into the volume, and commit it."""
        copy_run(self.run_dir, self.volume.root / run_folder(self.name))
        write_ledger(self.volume, self.name, self.ledger())
        self.volume.commit()
        self.saved_at = time.monotonic()


def train_rented(
    settings: dict[str, Any],
    *,
    name: str,
    machine: Machine,
    volume: MountedVolume,
    longest_s: float = LONGEST_S,
) -> dict[str, Any]:
    """Train the run of this name as far as it goes, and return what came of it.

    Errors that the user can mend are returned as `error`, because Modal tries a call
    that raises again, at the user's cost. Raises `KeyboardInterrupt` when the machine
    is taken away: Modal then starts the same call on another.
    """
    try:
        return _train(settings, name, machine, volume, longest_s)
    except StopRequested as stopped:
        print_lines(f"{name}: {stopped}")
        raise KeyboardInterrupt from stopped
    except MabeError as error:
        print_lines(f"mabe: {error}")
        return {"error": str(error)}


def _train(
    settings: dict[str, Any],
    name: str,
    machine: Machine,
    volume: MountedVolume,
    longest_s: float,
) -> dict[str, Any]:
    volume.reload()
    before = take_over(volume, name)
    run_dir = volume.disk / name
    shutil.rmtree(volume.disk, ignore_errors=True)  # what counts is in the volume
    config = settle(settings, run_dir=run_dir, root=volume.root)
    resume = fetch_earlier(volume.root / run_folder(name), run_dir)
    keeper = RunKeeper(run_dir, volume, name, machine, config.epochs, before, longest_s)
    try:
        trained = train(config, resume=resume, watcher=keeper)
    finally:
        if is_documented(run_dir):
            keeper.save()
    spent = keeper.ledger()
    print_lines(f"✓ {name}: {describe_spent(spent.seconds, spent.usd)} in all")
    return {
        "epochs": len(trained.history),
        "best_f1": trained.macro_f1,
        "seconds": spent.seconds,
        "usd": spent.usd,
    }


def settle(settings: dict[str, Any], *, run_dir: Path, root: Path) -> RunConfig:
    """Return a run's config as it is on the machine.

    Raises `DataError` where the data are not in the volume.
    """
    data_dir = root / data_folder(settings["data_dir"])
    if not data_dir.is_dir():
        raise DataError(
            f"{settings['data_dir']}: not in the volume; first "
            "`modal run upload_code_to_modal.py --data-dir DIR`"
        )
    if is_store(data_dir):  # it would be open throughout
        data_dir = shutil.copytree(data_dir, run_dir.parent / "store")
    places: dict[str, Any] = {
        "data_dir": data_dir,
        "checkpoint_dir": run_dir,
        "store_dir": None,
    }
    if settings.get("device", "auto") == "auto":
        places["device"] = "cuda"  # a rented GPU that cannot be used is an error
    return build_config({**settings, **places}, where="settings")


def take_over(volume: MountedVolume, name: str) -> Ledger:
    """Become the one who writes a run, and return what it has cost before.

    Raises `RunError` where another call is writing it. A volume has no locks: of two
    that begin in the same moment the last to commit stays, and the other finds out.
    """
    before = read_ledger(volume, name)
    if before and before.writer != volume.call and volume.is_running(before.writer):
        raise _taken(name, before.writer)
    ours = replace(before or Ledger(volume.call), writer=volume.call)
    write_ledger(volume, name, ours)
    volume.commit()
    volume.reload()
    now = read_ledger(volume, name)
    if now != ours:
        raise _taken(name, now.writer if now else "unknown")
    return ours


def read_ledger(volume: MountedVolume, name: str) -> Ledger | None:
    """Return who writes a run and what it has cost, or None for a new one."""
    path = volume.root / ledger_path(name)
    if not path.is_file():
        return None
    return Ledger(**json.loads(path.read_text(encoding="utf-8")))


def write_ledger(volume: MountedVolume, name: str, ledger: Ledger) -> None:
    """Write who writes a run and what it has cost."""
    path = volume.root / ledger_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(json.dumps(asdict(ledger)), encoding="utf-8")
    beside.replace(path)


def fetch_earlier(place: Path, run_dir: Path) -> bool:
    """Copy an earlier run from the volume; return whether there was one."""
    if not is_documented(place):
        return False
    copy_run(place, run_dir)
    return True


def copy_run(source: Path, target: Path) -> None:
    """Copy the files of a run that differ, the state to resume from last.

    Each is renamed into its place. (`mabe.runtime.files` would wait for the disk, but
    what makes files of a volume last is the commit.)
    """
    target.mkdir(parents=True, exist_ok=True)
    files = [p for p in source.iterdir() if p.is_file() and p.name[0] != "."]
    for path in sorted(files, key=_order):
        goal = target / path.name
        if goal.is_file() and filecmp.cmp(path, goal, shallow=False):
            continue
        beside = target / f".{path.name}.tmp"
        shutil.copyfile(path, beside)
        beside.replace(goal)


def _order(path: Path) -> tuple[bool, bool, str]:
    return path.name == _LAST, path.name not in _FIRST, path.name


def _taken(name: str, writer: str) -> RunError:
    return RunError(
        f"{name}: call {writer} is writing this run; follow it with `modal app logs`, "
        "or choose another --name"
    )
