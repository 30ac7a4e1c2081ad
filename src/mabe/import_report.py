"""What `mabe import` tells: what was found, and what everything is taken for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mabe.ethogram import Cast
from mabe.importing import Imported
from mabe.inspecting import count
from mabe.matching import format_matches
from mabe.pairing import Plan
from mabe.project import FILE_NAME


def describe_plan(plan: Plan) -> Iterator[str]:
    """Yield which files belong together, and which to nothing."""
    labelled = sum(bool(pairing.labels) for pairing in plan.pairings)
    recordings = count(len(plan.pairings), "recording")
    yield f"{recordings} with tracks, {labelled} with labels:"
    for pairing in plan.pairings:
        labels = ", ".join(dict.fromkeys(each.path.name for each in pairing.labels))
        track = pairing.track
        yield f"  {track.name}: {track.length:,} frames ({track.format})"
        yield f"    labels: {labels or 'none'}"
    for each in plan.unused:
        yield f"  ! labels without tracks: {each.path.name} ({each.marks.name!r})"
    yield from (f"  ! {double}" for double in plan.doubles)
    for name in plan.unknown:
        yield f"  ! not recognised: {name}"
    for problem in plan.bad:
        yield f"  ! left out: {problem}"


def describe_recording(imported: Imported, shown: set[str]) -> Iterator[str]:
    """Yield what one recording is taken for; tables `shown` are not repeated."""
    standard = imported.standard
    yield (
        f"\n{standard.name}: {standard.poses.length:,} frames at {standard.fps:g} fps, "
        f"{standard.pixels_per_cm:.4g} pixels per cm, "
        f"{count(len(imported.bouts), 'bout')}"
    )
    for number, name in enumerate(standard.animals, start=1):
        yield f"  mouse{number} is {name}"
    tables = {"keypoints": format_matches(standard.matches)}
    if imported.labels:
        tables["subjects of the labels"] = _format_subjects(imported.cast)
        tables["actions"] = _format_actions(imported.cast)
    for title, table in tables.items():
        if table in shown:
            yield f"  {title}: as above"
        else:
            yield f"  {title}:\n{table}"
        shown.add(table)
    yield from (f"  ! {note}" for note in imported.notes)


def _format_subjects(cast: Cast) -> str:
    return "\n".join(
        f"    {subject or '(none named)'} → {animal or '-'}  ({cast.how[subject]})"
        for subject, animal in cast.subjects.items()
    )


def _format_actions(cast: Cast) -> str:
    return "\n".join(
        f"    {action.behaviour} → {action.name or '-'} to {action.target}  "
        f"({action.how})"
        for action in cast.actions.values()
    )


@dataclass(slots=True)
class Totals:
    """What was imported so far; recordings themselves do not stay in memory."""

    recordings: int = 0
    frames: int = 0
    bouts: int = 0
    guessed: bool = False

    def add(self, imported: Imported) -> None:
        """Count one more recording."""
        self.recordings += 1
        self.frames += imported.standard.poses.length
        self.bouts += len(imported.bouts)
        if imported.labels:
            cast = imported.cast
            hows = [*cast.how.values(), *(each.how for each in cast.actions.values())]
            self.guessed |= any(how.startswith("guess") for how in hows)


def describe_end(totals: Totals, out: Path | None) -> str:
    """Return the last lines: what there is now, and what to do next."""
    what = (
        f"{count(totals.recordings, 'recording')}, {count(totals.frames, 'frame')}, "
        f"{count(totals.bouts, 'bout')}"
    )
    if out is None:
        return f"\n{what}; nothing written (--dry-run)"
    lines = [f"\n✓ {what}: {out}"]
    if totals.guessed:
        lines.append(
            f"  All that was guessed is in {out / FILE_NAME}: mend it there and import "
            f"again with --project {out / FILE_NAME}"
        )
    return "\n".join([*lines, f"  Next: mabe train --data-dir {out}"])
