"""A project standardized anew, after something was settled, with its labels kept.

::

    python -m mabe.viz.studio.settling DATA

The process imports everything into ``studio/settled`` by the project.yaml that is
proposed, and changes nothing else. The server then checks that labels stay what they
are, notes what it is about to do, and puts the import in place; one that is killed
meanwhile completes that when it starts again.
"""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mabe.bouts import Bout, WatchedSpan
from mabe.errors import DataError
from mabe.io.guesses import Guess, format_guesses
from mabe.io.import_plan import list_unused, plan_import
from mabe.io.importer import FailedRecording, ImportedRecording, run_import
from mabe.io.project import FILE_NAME, Project, parse_project, project_beside
from mabe.io.readers.kaggle import ZONES_NAME, read_index
from mabe.io.readers.zone_tables import read_zone_table
from mabe.io.writers.zones_csv import write_zones
from mabe.recording import VideoInfo
from mabe.runtime.console import one_line
from mabe.runtime.documents import read_json
from mabe.runtime.files import (
    hash_bytes,
    make_folder,
    remove,
    write_bytes,
    write_json,
    write_text,
)
from mabe.viz.studio.film_rates import with_film_rates
from mabe.viz.studio.job_lines import report, run_job
from mabe.viz.studio.label_edits import StudioLabels
from mabe.viz.studio.layout_table import NAME, name_of, read_rows, write_rows

_KINDS = ("train_tracking", "train_annotation", "train_coverage")
_PROPOSED, _DECIDED, _NEW = "proposed.json", "decided.json", "settled"


def propose(data: Path, file: Path, text: str) -> None:
    """Write down the project.yaml that is to be tried."""
    about = {"file": str(file.absolute()), "text": text}
    write_json(data / "studio" / _PROPOSED, about)


def try_proposal(data: Path) -> None:
    """Import a project by the settings that are proposed, beside its data set.

    Raises `MabeError` where they do not fit, or a recording cannot be read by them.
    """
    about = read_json(data / "studio" / _PROPOSED)
    settings = parse_project(about["text"], Path(about["file"]))
    new = data / "studio" / _NEW
    shutil.rmtree(new, ignore_errors=True)
    report("standardizing recordings", 0, 1)
    plan = plan_import(data.parent, settings, skip=data)
    plan = with_film_rates(plan, data.parent)
    known = {name_of(row): row for row in read_rows(data / NAME)}
    problems, sources = list_unused(plan), {}
    guesses: list[Guess] = []
    for number, done in enumerate(run_import(plan, new)):
        report("standardizing recordings", number, len(plan.recordings))
        name = f"{plan.lab}/{done.files.track.name}"
        if isinstance(done, FailedRecording):
            if name in known:
                raise DataError(done.reason)
            problems.append(f"! {done.reason}")
            continue
        guesses += done.guesses
        sources[name] = sources_of(done, settings)
        problems += _labels_at_another_rate(done, known.get(name))
    lines = problem_lines([*problems, *guess_lines(guesses)])
    write_json(new / "import.json", {"problems": lines, "sources": sources})


def _labels_at_another_rate(
    done: ImportedRecording, row: Mapping[str, str] | None
) -> list[str]:
    before = float(row["frames_per_second"]) if row else done.standard.fps
    if not done.has_labels or abs(before / done.standard.fps - 1) < 1e-6:
        return []
    return [
        f"{done.standard.name}: its labels were read at {before:g} fps, and stay at "
        "their frames; if their file gives seconds, import it again"
    ]


def decide(
    data: Path,
    videos: Iterable[VideoInfo],
    labels: Mapping[str, StudioLabels],
    *,
    last_round: int,
) -> None:
    """Put what was tried in place; rounds up to the last one learned from before.

    Raises `DataError`, and changes nothing, where an animal, an object or a zone that
    has labels would get another number or be gone.
    """
    new = {info.name: info for info in read_index(data / "studio" / _NEW)}
    before, after = (
        {name: track for track, name in project_beside(place).animal_names.items()}
        for place in (data, data / "studio" / _NEW)
    )
    for info in videos:
        if info.name in new and info.name in labels:
            tracks = [before.get(name, name) for name in info.animals]
            new_tracks = [after.get(name, name) for name in new[info.name].animals]
            _check_labels(info.name, tracks, new_tracks, labels[info.name])
    note = data / "studio" / _NEW / "import.json"
    write_json(note, read_json(note) | {"settled_after": last_round})
    (data / "studio" / _PROPOSED).replace(data / "studio" / _DECIDED)
    complete(data)


def _check_labels(
    recording: str, before: Sequence[str], after: Sequence[str], labels: StudioLabels
) -> None:
    """Raise `DataError` where the track of an animal with labels would be another."""
    spans: list[Bout | WatchedSpan] = [*labels.bouts, *labels.coverage]
    used = {number for each in spans for number in (each.agent, each.target)}
    for number in sorted(used):
        was, now = (each[number - 1 : number] for each in (before, after))
        if was and was != now:
            raise DataError(
                f"{recording} has labels of {was[0]}, in whose place there would be "
                f"{now[0] if now else 'nobody'}; delete these labels first"
            )


def complete(data: Path) -> None:
    """Do what was decided, also after a kill in the middle of it."""
    decided, new = data / "studio" / _DECIDED, data / "studio" / _NEW
    if not decided.is_file():
        return
    about = read_json(decided)
    note = read_json(new / "import.json")
    write_text(Path(about["file"]), about["text"])
    put_in_place(new, data)
    # Cut again from the tracks in their new scale.
    (data / "studio" / "stretches.npz").unlink(missing_ok=True)
    note |= {"state": state_of(data.parent), "given": {}}  # all is in the file now
    write_json(data / "studio" / "import.json", note)
    remove(decided)
    shutil.rmtree(new, ignore_errors=True)


def put_in_place(new: Path, data: Path) -> None:
    """Move an import into the data set; labels of recordings that it has are kept.

    The table of recordings comes last, so this can be done again after a kill.
    """
    rows = {name_of(row): row for row in read_rows(data / NAME)}
    for kind in _KINDS:
        for path in sorted((new / kind).glob("*/*.parquet")):
            name = f"{path.parent.name}/{path.stem}"
            if kind != "train_tracking" and name in rows:
                continue
            place = data / path.relative_to(new)
            make_folder(place.parent)
            path.replace(place)
    _join_zones(new, data)
    write_bytes(data / FILE_NAME, (new / FILE_NAME).read_bytes())
    for row in read_rows(new / NAME):
        name = name_of(row)
        place = data / "train_annotation" / row["lab_id"] / row["video_id"]
        if name in rows:
            row["behaviors_labeled"] = rows[name]["behaviors_labeled"]
        elif not place.with_name(f"{place.name}.parquet").is_file():
            row["behaviors_labeled"] = "[]"  # not labelled yet
        rows[name] = row
    write_rows(data / NAME, rows.values())
    make_folder(data / "train_annotation")


def _join_zones(new: Path, data: Path) -> None:
    """Replace the zones of the recordings of an import in those of a data set."""
    imported = {info.video for info in read_index(new)}
    before, after = (
        read_zone_table(place / ZONES_NAME).zones
        if (place / ZONES_NAME).is_file()
        else {}
        for place in (data, new)
    )
    kept = {video: zones for video, zones in before.items() if video not in imported}
    if joined := {**kept, **after}:
        write_zones(data / ZONES_NAME, joined, unit="cm")
    else:
        (data / ZONES_NAME).unlink(missing_ok=True)


def guess_lines(guesses: Iterable[Guess]) -> list[str]:
    """Return what was guessed, why, and for which recordings."""
    return [f"guessed: {' '.join(line.split())}" for line in format_guesses(guesses)]


def sources_of(done: ImportedRecording, settings: Project) -> dict[str, str]:
    """Return where a recording has its rate and its scale from, in words."""
    own, standard = done.files.settings, done.standard
    if own and own.fps:
        rate = "settled for it"
    elif done.files.track.fps:
        rate = "its file"
    elif done.files.scored_fps:
        rate = "its labels (guessed)"
    elif done.files.film_fps:
        rate = "its film (guessed)"
    else:
        rate = "settled for all"
    if own and own.pixels_per_cm:
        scale = "settled for it"
    elif settings.pixels_per_cm:
        scale = "settled for all"
    elif standard.is_scale_estimated:
        scale = "guessed from the length of bodies"
    else:
        scale = "its file"
    return {"fps": rate, "pixels_per_cm": scale}


def problem_lines(lines: Iterable[str]) -> list[str]:
    """Return problems and guesses as the page shows them."""
    return [one_line(line.removeprefix("! ").strip()) for line in lines]


def append_rows(data: Path, rows: Iterable[dict[str, str]]) -> None:
    """Add recordings to the table of a data set."""
    write_rows(data / NAME, [*read_rows(data / NAME), *rows])
    make_folder(data / "train_annotation")


def state_of(root: Path) -> str:
    """Return a hash of the names, sizes and times of a folder's own files."""
    data = root / "mabe"
    rows: list[Any] = []
    for path in sorted(root.rglob("*")):
        if path.is_relative_to(data) or not path.is_file():
            continue
        about = path.stat()
        rows.append((str(path.relative_to(root)), about.st_size, about.st_mtime_ns))
    return hash_bytes(repr(rows).encode())


if __name__ == "__main__":
    sys.exit(run_job(lambda: try_proposal(Path(sys.argv[1]))))
