"""What `mabe import` and `mabe inspect` print about an import."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mabe.io.behaviour_names import LabelMapping
from mabe.io.guesses import Guess, format_guesses
from mabe.io.import_plan import ImportPlan
from mabe.io.importer import FailedRecording, ImportedRecording
from mabe.io.match_keypoints import format_matches
from mabe.io.project import FILE_NAME
from mabe.io.writers.identities_csv import FILE_NAME as IDENTITIES
from mabe.runtime.console import count


@dataclass(slots=True)
class Totals:
    """Counts of what was imported; recordings themselves do not stay in memory."""

    recordings: int = 0
    labelled: int = 0
    frames: int = 0
    bouts: int = 0
    repairs: int = 0
    """Identities that were put back."""
    left_out: int = 0
    """Recordings that failed, or whose labels are used in part only."""
    guesses: list[Guess] = field(default_factory=list)

    def add(self, imported: ImportedRecording | FailedRecording) -> None:
        """Count one more recording."""
        if isinstance(imported, FailedRecording):
            self.left_out += 1
            return
        self.recordings += 1
        self.labelled += imported.has_labels
        self.frames += imported.standard.poses.length
        self.bouts += len(imported.bouts)
        self.left_out += bool(imported.labels.lost)
        self.repairs += len(imported.standard.repairs)
        self.guesses += imported.guesses


def describe_recording(
    imported: ImportedRecording | FailedRecording, shown: set[str]
) -> Iterator[str]:
    """Yield what one recording becomes; tables that are in `shown` are not repeated."""
    if isinstance(imported, FailedRecording):
        yield f"\n{imported.files.track.name}\n  ! left out: {imported.reason}"
        return
    standard, labels = imported.standard, imported.labels
    yield (
        f"\n{standard.name}: {count(standard.poses.length, 'frame')} at "
        f"{standard.fps:g} fps, "
        f"{standard.pixels_per_cm:.4g} pixels per cm, "
        f"{count(len(imported.bouts), 'bout')}"
    )
    for number, name in enumerate(standard.animals, start=1):
        what = "an object, " if number in standard.objects else ""
        what = "a zone, " if number > len(standard.poses.animals) else what
        yield f"  mouse{number} is {what}{name}"
    tables = {"keypoints": format_matches(standard.matches)}
    if imported.has_labels:
        tables["subjects of the labels"] = _format_subjects(labels.mapping)
        tables["actions"] = _format_actions(labels.mapping)
    for title, table in tables.items():
        if table in shown:
            yield f"  {title}: as above"
        else:
            yield f"  {title}:\n{table}"
        shown.add(table)
    yield from (f"  ! {note}" for note in imported.notes)


def _format_subjects(mapping: LabelMapping) -> str:
    return "\n".join(
        f"    {subject or '(none named)'} → {animal or '-'}  "
        f"({mapping.reasons[subject]})"
        for subject, animal in mapping.subjects.items()
    )


def _format_actions(mapping: LabelMapping) -> str:
    return "\n".join(
        f"    {action.behaviour} → {action.name or '-'} to {action.target}  "
        f"({action.reason})"
        for action in mapping.actions.values()
    )


def describe_guesses(guesses: list[Guess]) -> Iterator[str]:
    """Yield the table of all that was assumed."""
    if guesses:
        yield "\nGuessed, so check these:"
        yield from (f"  {line}" for line in format_guesses(guesses))


def describe_end(totals: Totals, plan: ImportPlan, out: Path | None) -> Iterator[str]:
    """Yield the last lines: what was imported, what is missing, and what to do next."""
    yield from describe_guesses(totals.guesses)
    if plan.project.repair_identities:
        where = f"; {out / IDENTITIES} lists them" if out else ""
        yield f"\nIdentities put back: {count(totals.repairs, 'time')}{where}"
    imported = (
        f"{count(totals.recordings, 'recording')}, {count(totals.frames, 'frame')}, "
        f"{count(totals.bouts, 'bout')}"
    )
    if out is None:
        yield f"\n{imported}; nothing written (--dry-run)"
        return
    missing = plan.left_out + totals.left_out
    yield f"\n{'!' if missing else '✓'} {imported}: {out}"
    if missing:
        yield f"  Left out: {count(missing, 'file or recording')}, named above with !"
    if totals.guesses:
        yield (
            f"  All guesses are in {out / FILE_NAME}: correct them there and import "
            f"again with --project {out / FILE_NAME}"
        )
    if totals.labelled:
        yield f"  Next: mabe train --data-dir {out}"
    else:
        yield "  No recording has labels: there is nothing to train on."
