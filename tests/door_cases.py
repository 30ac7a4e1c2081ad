"""The cases of `tests/door` and `tests/door_own`: files as labs have them.

Each folder has the files and a `case.md` with the right values. Those of `door` were
collected from public bug reports and from tools' own test files; the real ones among
them (`…_real`) are test files of animovement, MIT licence.
"""

from pathlib import Path

from mabe.io.import_plan import plan_import
from mabe.io.importer import run_import
from mabe.io.project import Project
from mabe.io.readers.formats import read_file

DOOR = Path(__file__).parent / "door"
OWN = Path(__file__).parent / "door_own"


def case(name):
    """Return the folder of a case."""
    return next(place / name for place in (DOOR, OWN) if (place / name).is_dir())


def content(name, file):
    """Return what one file of a case holds."""
    return read_file(case(name) / file)


def poses_of(name, file):
    """Return the only tracks of a file."""
    [poses] = content(name, file).poses
    return poses


def events_of(name, file, fps=25):
    """Return the events of a file in frames: start, stop, behaviour, subject."""
    [annotations] = content(name, file).annotations
    rate = fps if annotations.unit == "s" else 1
    return [
        (round(e.start * rate), round(e.stop * rate), e.behaviour, e.subject)
        for e in annotations.events
    ]


def imported(name, **project):
    """Return the recordings of a case as `mabe import` would write them, by name."""
    plan = plan_import(case(name), Project(**{"fps": 25} | project))
    return {each.standard.name: each for each in run_import(plan, None)}


def bouts(recording):
    """Return the bouts of a recording: agent, target, action, start, stop."""
    return [(b.agent, b.target, b.action, b.start, b.stop) for b in recording.bouts]
