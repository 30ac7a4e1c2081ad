"""Labels of another program's file, such as a BORIS project: read, shown, then taken.

::

    python -m mabe.viz.studio.incoming DATA FILE

The process matches the file to the recordings as `mabe import` does, and writes what it
holds into ``studio/incoming.json``. Nothing becomes a label until that was shown beside
the labels there are, and the user has said whose count where they differ.
"""

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mabe.bouts import Bout, Coverage, WatchedSpan, join_coverage
from mabe.errors import DataError
from mabe.io.behaviour_names import slug
from mabe.io.coders import describe_conflicts
from mabe.io.folder_files import FolderContents, scan_files, scan_folder
from mabe.io.guesses import Guess
from mabe.io.import_plan import ImportPlan, make_plan
from mabe.io.importer import import_recording, label_recording
from mabe.io.project import Project, load_project
from mabe.io.readers.kaggle import read_index
from mabe.runtime.documents import read_json
from mabe.runtime.files import write_json
from mabe.viz.studio.ethogram import MOST_ACTIONS, Ethogram, Kind, free_keys
from mabe.viz.studio.film_rates import with_film_rates
from mabe.viz.studio.job_lines import report, run_job
from mabe.viz.studio.label_edits import LabelEdit, StudioLabels, without
from mabe.viz.studio.label_files import labels_of_json, labels_to_json
from mabe.viz.studio.layout_recordings import LayoutRecording, layout_recordings
from mabe.viz.studio.layout_table import is_layout
from mabe.viz.studio.settling import guess_lines

Prefer = Literal["mine", "theirs"]
"""Whose labels count where both were watched for: those here, or those of the file."""

_NAME = "incoming.json"


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a file of labels holds."""

    file: str
    labels: Mapping[str, StudioLabels]
    """By the names of recordings."""
    notes: tuple[str, ...]
    """What was guessed, left out, or is of no recording."""


@dataclass(slots=True)
class LabelImport:
    """The import that is going on in a project, and the last one."""

    incoming: Incoming | None = None
    """Labels of a file that are shown, and not taken yet."""
    taken: dict[str, tuple[StudioLabels, StudioLabels, int]] = field(
        default_factory=dict
    )
    """Labels before and after the last import, and the frames of their recording."""


def read_file(data: Path, file: Path) -> None:
    """Read the labels of a file for the recordings of a project.

    Raises `DataError` where it holds no labels, or none of these recordings.
    """
    settings = _without_label_files(load_project(data))
    root = data.parent
    known: dict[str, LayoutRecording] = {}
    if is_layout(root):
        # Its project.yaml lists files that it was imported from, elsewhere.
        settings = settings.with_changes(recordings=())
        recordings = layout_recordings(data, read_index(data, splits=("train",)))
        known = {each.track.name: each for each in recordings}
    report("reading the labels", 0, 1)
    held = scan_files([file], settings)
    if not held.labels:
        reason = "; ".join(each.reason for each in held.problems) or "it has none"
        raise DataError(f"{file.name}: no labels are read from it: {reason}")
    tracks = tuple(each.track for each in known.values())
    tracks = tracks or scan_folder(root, settings, skip=data).tracks
    # Matched by their names as if the file lay beside the tracks.
    beside = tuple(replace(each, path=root / file.name) for each in held.labels)
    plan = make_plan(FolderContents(tracks, beside, ()), settings, root)
    if not known:
        plan = with_film_rates(plan, root)
    if plan.conflicts:
        raise DataError(f"{file.name}: {describe_conflicts(plan.conflicts)}")
    labels, notes, guesses = _labels_of(plan, known)
    notes += [f"{each.labels.annotations.name}: {each.reason}" for each in plan.unused]
    if not labels:
        raise DataError(
            f"{file.name}: its labels are of no recording here: {'; '.join(notes)}"
        )
    about = {
        "file": file.name,
        "labels": {name: labels_to_json(each) for name, each in labels.items()},
        "notes": [*notes, *guess_lines(guesses)],
    }
    write_json(data / "studio" / _NAME, about)


def _labels_of(
    plan: ImportPlan, known: Mapping[str, LayoutRecording]
) -> tuple[dict[str, StudioLabels], list[str], list[Guess]]:
    labels: dict[str, StudioLabels] = {}
    notes: list[str] = []
    guesses: list[Guess] = []
    wanted = [files for files in plan.recordings if files.labels]
    for number, files in enumerate(wanted):
        report("reading the labels", number, len(wanted))
        name = f"{plan.lab}/{files.track.name}"
        if recording := known.get(files.track.name):
            name = recording.name
            done = label_recording(files, plan, recording.standard)
        else:
            done = import_recording(files, plan)
        coverage = done.coverage
        if coverage is None:
            stop = done.standard.poses.length
            coverage = tuple(
                WatchedSpan(0, stop, each.action, each.agent, each.target)
                for each in done.watched
            )
        found = LabelEdit().applied(StudioLabels(tuple(done.bouts), coverage))
        labels[name] = found
        notes += [f"{files.track.name}: {note}" for note in done.labels.notes]
        guesses += [g for g in done.guesses if g.kind not in ("scale", "skeleton")]
    return labels, notes, guesses


def _without_label_files(project: Project) -> Project:
    """Return the settings without the label files that they list."""
    own = [each.model_copy(update={"labels": None}) for each in project.recordings]
    return project.model_copy(update={"recordings": tuple(own)})


def load_incoming(data: Path) -> Incoming:
    """Return what `read_file` has written."""
    about = read_json(data / "studio" / _NAME)
    labels = {name: labels_of_json(each) for name, each in about["labels"].items()}
    return Incoming(about["file"], labels, tuple(about["notes"]))


def by_own_names(incoming: Incoming, ethogram: Ethogram) -> Incoming:
    """Return labels with the names of actions here, which may have blanks."""
    own = {slug(name): name for name in ethogram.names}

    def renamed(spans: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(
            replace(each, action=own.get(each.action, each.action)) for each in spans
        )

    return replace(
        incoming,
        labels={
            name: StudioLabels(renamed(each.bouts), renamed(each.coverage))
            for name, each in incoming.labels.items()
        },
    )


def joined_ethogram(ethogram: Ethogram, incoming: Incoming) -> Ethogram:
    """Return the actions with those that only the file has.

    Raises `DataError` for a name that no action may have, and for too many of them.
    """
    spans = [span for each in incoming.labels.values() for span in each.coverage]
    new = [span for span in spans if span.action not in ethogram.names]
    actions = Ethogram.of_labels(span.watched for span in new).actions
    keys = free_keys([each.key for each in ethogram.actions])
    if len(actions) + len(ethogram.actions) > MOST_ACTIONS or len(actions) > len(keys):
        raise DataError(f"{incoming.file}: with its actions there are too many")
    added = (replace(a, key=k) for a, k in zip(actions, keys, strict=False))
    return Ethogram((*ethogram.actions, *added))


def fitting(labels: StudioLabels, ethogram: Ethogram) -> StudioLabels:
    """Return the labels whose animals an action of the ethogram may have.

    Of two animals without an agent, the lower number comes first. Of actions that
    happen in a moment, bouts are their first frame.
    """
    kinds = {each.name: each for each in ethogram.actions}

    def fit(spans: Iterable[Any]) -> list[Any]:
        turned = [_in_order(each, kinds[each.action].kind) for each in spans]
        return [s for s in turned if kinds[s.action].applies_to(s.agent, s.target)]

    bouts, coverage = fit(labels.bouts), fit(labels.coverage)
    bouts = [
        replace(bout, stop=bout.start + 1) if bout.action in ethogram.points else bout
        for bout in bouts
    ]
    return LabelEdit(add=tuple(bouts)).applied(
        StudioLabels((), join_coverage(tuple(coverage)))
    )


def _in_order(span: Any, kind: Kind) -> Any:
    if kind is not Kind.MUTUAL or span.agent <= span.target:
        return span
    return replace(span, agent=span.target, target=span.agent)


def edit_of(mine: StudioLabels, theirs: StudioLabels, prefer: Prefer) -> LabelEdit:
    """Return the edit that joins labels of a file with those there are."""
    if prefer == "mine":
        new = without(_as_spans(theirs.bouts), mine.coverage)
        return LabelEdit(add=_as_bouts(new), watch=theirs.coverage)
    cut = without(_as_spans(mine.bouts), theirs.coverage)
    kept = _as_bouts(cut)
    return LabelEdit(
        add=(*theirs.bouts, *(bout for bout in kept if bout not in mine.bouts)),
        remove=tuple(bout for bout in mine.bouts if bout not in kept),
        watch=theirs.coverage,
    )


def way_back(before: StudioLabels, after: StudioLabels) -> LabelEdit:
    """Return the edit that makes labels what they were before."""
    return LabelEdit(
        add=before.bouts,
        remove=tuple(bout for bout in after.bouts if bout not in before.bouts),
        watch=before.coverage,
        unwatch=without(after.coverage, before.coverage),
    )


def _as_spans(bouts: Iterable[Bout]) -> Coverage:
    return tuple(
        WatchedSpan(b.start, b.stop, b.action, b.agent, b.target) for b in bouts
    )


def _as_bouts(spans: Iterable[WatchedSpan]) -> tuple[Bout, ...]:
    return tuple(Bout(s.start, s.stop, s.action, s.agent, s.target) for s in spans)


def compare(
    name: str, mine: StudioLabels, file: StudioLabels, ethogram: Ethogram, fps: float
) -> list[dict[str, Any]]:
    """Return for each action what a file would bring of a recording.

    Bouts, seconds that were not watched for here, seconds in which both watched and
    differ, and bouts whose animals the action cannot have here.
    """
    theirs = fitting(file, ethogram)
    left_out = Counter(each.action for each in file.bouts)
    left_out -= Counter(each.action for each in theirs.bouts)
    new = without(theirs.coverage, mine.coverage)
    rows = []
    for action in sorted({each.action for each in file.coverage}):
        yes, no = (_of(each, action) for each in (theirs.bouts, mine.bouts))
        both = without(theirs.coverage, without(theirs.coverage, mine.coverage))
        differ = [
            *_shared(without(_as_spans(yes), _as_spans(no)), both),
            *_shared(without(_as_spans(no), _as_spans(yes)), both),
        ]
        rows.append(
            {
                "recording": name,
                "action": action,
                "bouts": len(yes),
                "newSeconds": _frames(_of(new, action)) / fps,
                "conflictSeconds": _frames(_of(differ, action)) / fps,
                "leftOut": left_out[action],
            }
        )
    return rows


def _shared(spans: Coverage, others: Coverage) -> Coverage:
    """Return the parts of spans that lie in others."""
    return without(spans, without(spans, others))


def _of(spans: Iterable[Any], action: str) -> list[Any]:
    return [span for span in spans if span.action == action]


def _frames(spans: Collection[WatchedSpan]) -> int:
    return sum(span.stop - span.start for span in spans)


def unknown_recordings(incoming: Incoming, names: Sequence[str]) -> list[str]:
    """Return the recordings of a file that the project has not."""
    return sorted(set(incoming.labels) - set(names))


if __name__ == "__main__":
    sys.exit(run_job(lambda: read_file(Path(sys.argv[1]), Path(sys.argv[2]))))
