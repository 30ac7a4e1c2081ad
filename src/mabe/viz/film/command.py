"""`mabe video`: what is written, with progress and notes on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mabe.errors import ConfigError
from mabe.runtime.console import count, print_lines, progress_bar
from mabe.viz.film.annotate import FilmStyle, FilmSubject, write_film
from mabe.viz.film.clips import TABLE, Of, Pick, choose_bouts, write_clips
from mabe.viz.film.film_writer import check_ending
from mabe.viz.film.gather import Wanted, subject_of_predictions, subject_of_run

if TYPE_CHECKING:  # folders of predictions need no torch
    from mabe.inference.predict import Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmOrder:
    """What is to be written."""

    out: Path
    style: FilmStyle
    from_s: float | None = None
    to_s: float | None = None
    clips: str | None = None
    """The action of which clips are made; None: one film."""
    most: int = 20
    pick: str = "spread"
    of: str = "predicted"
    pad_s: float = 2.0

    def __post_init__(self) -> None:
        for what, kind in (("pick", Pick), ("of", Of)):
            names = [each.value for each in kind]
            if (value := getattr(self, what)) not in names:
                raise ConfigError(
                    f"--{what} {value}: expected one of {', '.join(names)}"
                )
        if self.clips is None:
            check_ending(self.out)
        elif self.out.suffix:
            raise ConfigError(f"--out {self.out}: clips go into a folder; give one")
        if self.clips is not None and (
            self.from_s is not None or self.to_s is not None
        ):
            raise ConfigError("--clips are of all the film; leave --from and --to out")


def make_films(source: "Predictor | Path", wanted: Wanted, order: FilmOrder) -> None:
    """Write a film, or clips; `source` is a model, or a folder of predictions.

    Raises `MabeError` where something cannot be found, read or written.
    """
    if isinstance(source, Path):
        subject, notes = subject_of_predictions(source, wanted)
    else:
        print_lines(f"Predicting {wanted.what}")
        subject, notes = subject_of_run(source, wanted)
    _print_notes(notes)
    if order.clips is None:
        _write_one(subject, order)
    else:
        _write_clips(subject, order)


def _write_one(subject: FilmSubject, order: FilmOrder) -> None:
    frames = subject.frames_of(order.from_s, order.to_s)
    with _progress("frame") as report:
        notes = write_film(
            subject, order.out, order.style, frames=frames, report=report
        )
    _print_notes(notes)
    size = order.out.stat().st_size / 1e6
    number = count(frames[1] - frames[0], "frame")
    print_lines(f"✓ {order.out}: {number}, {size:.1f} MB", always=True)


def _write_clips(subject: FilmSubject, order: FilmOrder) -> None:
    assert order.clips is not None
    of = Of(order.of)
    bouts, found = choose_bouts(
        subject.rows, order.clips, order.most, of=of, pick=Pick(order.pick)
    )
    if found > len(bouts):
        how = {"spread": "spread over time"}.get(order.pick, f"the {order.pick} ones")
        _print_notes([f"{len(bouts)} of {count(found, 'bout')}, {how}"])
    with _progress("clip") as report:
        notes = write_clips(
            subject,
            bouts,
            order.out,
            order.style,
            of=of,
            pad_s=order.pad_s,
            report=report,
        )
    _print_notes(notes)
    print_lines(
        f"✓ {count(len(bouts), 'clip')}: {order.out}, listed in {TABLE}", always=True
    )


def _print_notes(notes: list[str]) -> None:
    print_lines(*(f"  {note}" for note in notes))


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Provide a function that moves a progress bar."""
    with progress_bar(desc="Writing", unit=unit) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report
