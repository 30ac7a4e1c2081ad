"""Clips of single bouts: which ones, their names, and their table."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from mabe.bouts import name_of_animal
from mabe.errors import ConfigError
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import make_folder, write_text
from mabe.viz.film.annotate import (
    FilmStyle,
    FilmSubject,
    colours_of_rows,
    write_film,
)
from mabe.viz.film.film_rows import FilmRow

TABLE = "clips.csv"


_COLUMNS = (
    "file",
    "lab",
    "video",
    "action",
    "agent",
    "target",
    "of",
    "start_frame",
    "stop_frame",
    "start_s",
    "stop_s",
    "probability",
    "clip_from_s",
    "clip_to_s",
)


class Pick(StrEnum):
    """Which bouts are taken where there are more than wanted."""

    spread = "spread"
    """Evenly over time: a fair sample, for checking."""
    likely = "likely"
    """The highest mean probability first."""
    unsure = "unsure"
    """The lowest mean probability first."""
    longest = "longest"


class Of(StrEnum):
    """Whose bouts."""

    predicted = "predicted"
    annotated = "annotated"


@dataclass(frozen=True, slots=True)
class ClipBout:
    """A bout of which a clip is made."""

    row: FilmRow
    start: int
    stop: int
    """In the recording's own frames."""

    @property
    def probability(self) -> float | None:
        """The mean probability of its action; None where there is none."""
        return self.row.probability(self.start, self.stop)


def choose_bouts(
    rows: Sequence[FilmRow],
    action: str,
    most: int,
    *,
    of: Of = Of.predicted,
    pick: Pick = Pick.spread,
) -> tuple[list[ClipBout], int]:
    """Return at most so many bouts of an action in time order, and how many there are.

    Raises `ConfigError` for an action without bouts.
    """
    spans_of: Callable[[FilmRow], np.ndarray] = (
        (lambda row: row.predicted)
        if of is Of.predicted
        else (lambda row: row.annotated)
    )
    bouts = sorted(
        (
            ClipBout(row, start, stop)
            for row in rows
            if row.action == action
            for start, stop in spans_of(row).tolist()
        ),
        key=lambda each: (each.start, each.stop, each.row.agent, each.row.target),
    )
    if not bouts:
        known = sorted({row.action for row in rows if len(spans_of(row))})
        has = f"there are bouts of {', '.join(known)}" if known else "there is no bout"
        raise ConfigError(f"no {of} bout of {action!r}; {has}")
    found = len(bouts)
    if found > most:
        bouts = _picked(bouts, most, pick)
    return sorted(bouts, key=lambda each: (each.start, each.stop)), found


def _picked(bouts: list[ClipBout], most: int, pick: Pick) -> list[ClipBout]:
    if pick is Pick.spread:
        places = np.linspace(0, len(bouts) - 1, most).round().astype(int)
        return [bouts[place] for place in places.tolist()]
    if pick is Pick.longest:
        return sorted(bouts, key=lambda each: each.start - each.stop)[:most]
    if any(each.probability is None for each in bouts):
        raise ConfigError(
            f"there are no probabilities to pick the {pick} ones by: use spread or "
            "longest"
        )
    sign = -1 if pick is Pick.likely else 1
    return sorted(bouts, key=lambda each: sign * (each.probability or 0.0))[:most]


def clip_name(
    subject: FilmSubject, bout: ClipBout, seconds: float, ending: str = ".mp4"
) -> str:
    """Return the name of a clip: recording, action, agent, target and time."""
    agent, target = _animals(subject, bout.row)
    words = [subject.recording.info.video, bout.row.action]
    if agent:
        words += [agent] if target == "self" else [agent, "to", target]
    plain = "_".join(_plain(word) for word in words)
    return f"{plain[:120]}_{seconds:08.2f}s{ending}"


def _plain(text: str) -> str:
    """Return a text without signs that a file name may not have on some system."""
    return re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", text)).strip("-.")


def _animals(subject: FilmSubject, row: FilmRow) -> tuple[str, str]:
    if not row.agent:
        return "", ""
    agent = name_of_animal(row.agent, subject.animals)
    is_self = row.agent == row.target
    return agent, "self" if is_self else name_of_animal(row.target, subject.animals)


def write_clips(
    subject: FilmSubject,
    bouts: Sequence[ClipBout],
    folder: Path,
    style: FilmStyle,
    *,
    of: Of,
    pad_s: float,
    report: Callable[[int, int], None] = lambda *_: None,
) -> list[str]:
    """Write a clip of each bout, and a table of them; return notes.

    `pad_s` seconds before and after are shown too.
    """
    make_folder(folder)
    colours = colours_of_rows(subject.rows)
    rows, notes, info = [], [], subject.recording.info
    length = subject.film.frames if subject.film else subject.recording.length
    pad = round(pad_s * subject.fps)
    for number, bout in enumerate(bouts):
        report(number, len(bouts))
        start = max(0, subject.film_frame(max(0, bout.start - pad)))
        stop = min(length, subject.film_frame(bout.stop + pad))
        if stop <= start:
            at = bout.start / subject.fps
            notes.append(f"no clip of the bout at {at:.2f} s: after the film's end")
            continue
        seconds = bout.start / subject.fps
        name = clip_name(subject, bout, seconds)
        notes += write_film(
            subject, folder / name, style, frames=(start, stop), colours=colours
        )
        agent, target = _animals(subject, bout.row)
        probability = bout.probability
        rows.append(
            (
                name,
                info.lab,
                info.video,
                bout.row.action,
                agent,
                target,
                of.value,
                bout.start,
                bout.stop,
                round(seconds, 3),
                round(bout.stop / subject.fps, 3),
                "" if probability is None else round(probability, 4),
                round(subject.seconds(start), 3),
                round(subject.seconds(stop - 1), 3),
            )
        )
    report(len(bouts), len(bouts))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(
        [cell_of(cell) if isinstance(cell, str) else cell for cell in row]
        for row in rows
    )
    write_text(folder / TABLE, text.getvalue())
    return list(dict.fromkeys(notes))
