"""Small folders as labs have them: tracks of two animals, and tables of bouts."""

import csv

from format_files import write_dlc_csv

from mabe.io.import_plan import plan_import
from mabe.io.importer import FailedRecording, run_import
from mabe.io.project import Project

TAIL = "DLC_resnet50_labMar1shuffle1_50000"

SETTINGS = {"fps": 25, "pixels_per_cm": 2}


def write_tracks(folder, name):
    """Write tracks of the animals a and b as DeepLabCut names them."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_dlc_csv(folder / f"{name}{TAIL}.csv")


def write_table(path, rows, columns=("action", "start_frame", "stop_frame", "agent")):
    """Write a table of bouts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def imported(folder, **project):
    """Return the recordings of a folder as `mabe import` would write them, by name."""
    plan = plan_import(folder, Project(**(SETTINGS | project)))
    found = list(run_import(plan, None))
    assert not [each.reason for each in found if isinstance(each, FailedRecording)]
    return {each.standard.name: each for each in found}


def bouts(recording):
    """Return the bouts of a recording: agent, target, action, start, stop."""
    return [(b.agent, b.target, b.action, b.start, b.stop) for b in recording.bouts]
