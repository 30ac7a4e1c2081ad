"""An annotated film of a recording, written frame by frame.

Frames of the film are the recording's where both have equally many, or the same rate;
otherwise the recording's frame is the one at the film's time. Which of the two, and by
how much the film is shorter or longer, is part of the result. Without a film the poses
are drawn on plain ground.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mabe.bouts import name_of_animal
from mabe.errors import ConfigError, DataError
from mabe.recording import Recording
from mabe.runtime.console import count
from mabe.viz.colours import colours_of
from mabe.viz.film.film_reader import FilmFacts, Image, read_frames
from mabe.viz.film.film_rows import FilmRow, choose_rows
from mabe.viz.film.film_writer import FilmSize, usable_time_base, writing_film
from mabe.viz.film.painter import Body, Canvas, Fonts, Painter, Rgb, rgb
from mabe.viz.review.skeleton_drawing import bone_places

_WIDTHS = (640, 1920)
"""The least and the greatest width of a film whose width is not given."""


_PLAIN_WIDTH = 800


_SAMPLES = 4000
"""Frames that are sampled for the extent of the tracks."""


_SAME_RATE, _SAME_LENGTH = 0.01, 0.002
"""By so small a share rates, and numbers of frames, may differ to count as equal."""


_OUTSIDE_FROM = 0.2
"""A share of points outside of the film from which it is said."""


_SMALL_BELOW = 0.1
"""So small a part of the film's width and height is the mark of another scale."""


Report = Callable[[int, int], None]
"""Gets how many frames are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmStyle:
    """How a film looks."""

    width: int | None = None
    """Pixels; by default the film's own width, between 640 and 1920."""
    rows: int = 8
    """At most so many rows in the strip."""
    strip_s: float = 20.0
    """The time that the strip shows at once."""
    font: Path | None = None
    """By default DejaVu Sans."""

    def __post_init__(self) -> None:
        if self.width is not None and not 160 <= self.width <= 7680:
            raise ConfigError(f"expected a width of 160 to 7680, found {self.width}")
        if not self.strip_s > 0:
            raise ConfigError(f"the strip needs a time above 0, not {self.strip_s}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmSubject:
    """A recording with its behaviour, and its film if there is one."""

    recording: Recording
    animals: tuple[str, ...]
    """The lab's names of the animals 1, 2 …, where it names every tracked one."""
    rows: Sequence[FilmRow]
    film: FilmFacts | None = None
    film_px_per_px: float = 1.0
    """Pixels of the film in a unit of the tracks; 1 where they were made from it."""

    @property
    def fps(self) -> float:
        """The recording's rate."""
        return self.recording.info.fps

    @property
    def is_by_number(self) -> bool:
        """Whether frames of the film and of the recording have the same numbers."""
        film = self.film
        if film is None:
            return True
        length = self.recording.length
        least = max(2.0, _SAME_LENGTH * max(length, film.frames))
        rate = float(film.rate_fps)
        return (
            abs(length - film.frames) <= least
            or abs(rate - self.fps) <= _SAME_RATE * self.fps
        )

    def own_frame(self, film_frame: int) -> int:
        """Return the recording's frame of a frame of the film."""
        if self.film is None or self.is_by_number:
            return film_frame
        return round(self.film.seconds(film_frame) * self.fps)

    def film_frame(self, own_frame: int) -> int:
        """Return the first frame of the film that shows a frame of the recording."""
        if self.film is None or self.is_by_number:
            return own_frame
        return self.film.frame_at(own_frame / self.fps)

    def seconds(self, film_frame: int) -> float:
        """Return when a frame is shown in the film, or in the recording without one."""
        if self.film is None:
            return film_frame / self.fps
        return self.film.seconds(film_frame)

    def frames_of(self, from_s: float | None, to_s: float | None) -> tuple[int, int]:
        """Return the frames of the film between two times; by default all.

        Raises `ConfigError` where there are none.
        """
        length = self.film.frames if self.film else self.recording.length

        def frame_at(seconds: float) -> int:
            if self.film is not None:
                return self.film.frame_at(seconds)
            return round(seconds * self.fps)

        start = 0 if from_s is None else frame_at(from_s)
        stop = length if to_s is None else min(frame_at(to_s), length)
        if not 0 <= start < stop:
            raise ConfigError(
                f"no frame from {from_s or 0:g} s to "
                f"{'the end' if to_s is None else f'{to_s:g} s'}: there are "
                f"{self.seconds(length - 1) if length else 0:.2f} s"
            )
        return start, stop

    def notes(self) -> list[str]:
        """Return what people have to know of how film and tracks fit."""
        film = self.film
        if film is None:
            return ["no film: poses on plain ground"]
        notes, length, rate = [], self.recording.length, float(film.rate_fps)
        same = abs(rate - self.fps) <= _SAME_RATE * self.fps
        if not self.is_by_number:
            notes.append(
                f"film and tracks are matched by time: the film has "
                f"{film.frames:,} frames at {rate:.6g} a second, the tracks "
                f"{length:,} at {self.fps:.6g}"
            )
        elif not same:
            notes.append(
                f"film and tracks are matched frame by frame, as both have about "
                f"{length:,}; the film has {rate:.6g} a second, the tracks say "
                f"{self.fps:.6g}"
            )
        last = self.film_frame(length) if length else 0
        if (ahead := film.frames - last) > 1:
            notes.append(
                f"the film is longer than the tracks: its last {ahead:,} frames "
                f"({ahead / rate:.1f} s) have no poses"
            )
        elif ahead < -1:
            notes.append(
                f"the film is shorter than the tracks: it lacks their last "
                f"{-ahead:,} frames ({-ahead / rate:.1f} s)"
            )
        return [*notes, *self._notes_on_place(film)]

    def _notes_on_place(self, film: FilmFacts) -> list[str]:
        points = _sample(self.recording) * self.film_px_per_px
        if not len(points):
            return ["nothing is tracked"]
        size = np.array([film.width, film.height])
        outside = float(((points < 0) | (points > size)).any(axis=1).mean())
        advice = "are the tracks of this film, and in its pixels? else give its scale"
        if outside >= _OUTSIDE_FROM:
            return [
                f"{100 * outside:.0f} % of points lie outside of the film: {advice}"
            ]
        extent = np.percentile(points, 99, axis=0) - np.percentile(points, 1, axis=0)
        if (extent < _SMALL_BELOW * size).all() and self.recording.length > 1:
            return [f"all points lie in a small corner of the film: {advice}"]
        return []


def _sample(recording: Recording) -> Float[np.ndarray, "point 2"]:
    some = recording.xy_px[:: max(1, recording.length // _SAMPLES)].reshape(-1, 2)
    tracked: Float[np.ndarray, "point 2"] = some[np.isfinite(some).all(axis=1)]
    return tracked


@dataclass(frozen=True, slots=True)
class _Place:
    """Where points of the recording are in the picture of a frame."""

    zoom: float
    x: float
    y: float

    def of(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        moved: Float[np.ndarray, "point 2"] = points * self.zoom + (self.x, self.y)
        return moved


def _layout(subject: FilmSubject, style: FilmStyle) -> tuple[int, int, _Place]:
    """Return width and height of the picture, and where points are in it."""
    film = subject.film
    if film is not None:
        width = style.width or min(max(film.width, _WIDTHS[0]), _WIDTHS[1])
        zoom = width / film.width
        height = max(2, round(film.height * zoom))
        return width, height, _Place(zoom * subject.film_px_per_px, 0, 0)
    points = _sample(subject.recording)
    width = style.width or _PLAIN_WIDTH
    if not len(points):
        return width, round(width * 0.75), _Place(1, 0, 0)
    low, high = np.percentile(points, [0.2, 99.8], axis=0)
    wide, tall = np.maximum(high - low, 1e-6) * 1.2
    zoom = min(width / wide, width / tall)
    height = min(max(round(tall * zoom), round(width * 0.4)), width)
    middle = (low + high) / 2 * zoom
    return width, height, _Place(zoom, width / 2 - middle[0], height / 2 - middle[1])


def colours_of_rows(rows: Sequence[FilmRow]) -> dict[str, Rgb]:
    """Return the colour of each action, as the pages have it."""
    names = list(dict.fromkeys(row.action for row in rows))
    colours = colours_of(names, has_background=False)
    return {name: rgb(each.on_dark) for name, each in zip(names, colours, strict=True)}


def make_painter(
    subject: FilmSubject,
    style: FilmStyle,
    start: int,
    stop: int,
    colours: Mapping[str, Rgb] | None = None,
) -> tuple[Painter, _Place, list[str]]:
    """Return what draws frames [start, stop) of a film, and what is left out."""
    own = subject.own_frame(start), subject.own_frame(stop)
    shown, left = choose_rows(subject.rows, *own, style.rows)
    width, height, place = _layout(subject, style)
    recording, fonts = subject.recording, Fonts.of_file(style.font)
    points = recording.points
    numbers = tuple(point.animal + 1 for point in points)
    names = {each: name_of_animal(each, subject.animals) for each in set(numbers)}
    painter = Painter(
        canvas=Canvas.of(width, height, len(shown)),
        body=Body(
            animals=numbers,
            names=names,
            lab_names=subject.animals,
            bones=bone_places(points),
        ),
        rows=shown,
        colours=dict(colours or colours_of_rows(subject.rows)),
        fps=subject.fps,
        fonts=fonts,
        strip_s=style.strip_s,
        every_row=[row for row in subject.rows if row in shown or row in left],
    )
    notes = []
    if left:
        some = ", ".join(
            sorted({f"{row.action} {row.animals(subject.animals)}" for row in left})
        )
        notes.append(f"{count(len(left), 'row')} not in the strip: {some}")
    texts = [*names.values(), *(row.action for row in subject.rows)]
    if missing := fonts.missing(texts):
        notes.append(f"the font lacks {missing}, shown as boxes; give another one")
    return painter, place, notes


def write_film(
    subject: FilmSubject,
    out: Path,
    style: FilmStyle,
    *,
    frames: tuple[int, int],
    colours: Mapping[str, Rgb] | None = None,
    report: Report = lambda *_: None,
) -> list[str]:
    """Write frames of a film with what is known of them; return notes.

    Memory does not grow with the number of frames. Raises `OutputError` where the film
    cannot be written.
    """
    start, stop = frames
    painter, place, notes = make_painter(subject, style, start, stop, colours)
    film, undecoded = subject.film, 0
    rate = film.rate_fps if film else Fraction(subject.fps).limit_denominator(60_000)
    base = usable_time_base(film.time_base if film else 1 / rate)
    size = FilmSize(
        width=painter.canvas.width,
        height=painter.canvas.height,
        rate_fps=rate,
        time_base=base,
    )
    begin_s, before = subject.seconds(start), -1
    with writing_film(out, size) as writer:
        for number, picture in _pictures(subject, start, stop):
            own, seconds = subject.own_frame(number), subject.seconds(number)
            note = ""
            if film is not None and picture is None:
                undecoded += number < film.frames
                is_after = number >= film.frames
                note = "after the film's end" if is_after else "damaged frame"
            points = None
            if 0 <= own < subject.recording.length:
                points = place.of(np.asarray(subject.recording.xy_px[own]))
            page = painter.paint(picture, points, own, seconds, note)
            before = max(before + 1, round((seconds - begin_s) / base))
            writer.add(page, before)
            report(number - start + 1, stop - start)
    if undecoded:
        notes.append(f"{count(undecoded, 'frame')} of the film cannot be decoded")
    return notes


def _pictures(
    subject: FilmSubject, start: int, stop: int
) -> Iterator[tuple[int, Image | None]]:
    if subject.film is not None:
        yield from read_frames(subject.film, start, stop)
        return
    for number in range(start, stop):
        yield number, None


def with_film(
    subject: FilmSubject, film: FilmFacts | None, pixels_per_cm: float | None
) -> FilmSubject:
    """Return a subject with its film; `pixels_per_cm` are the film's, where given.

    Raises `DataError` where it is no scale.
    """
    if film is None or pixels_per_cm is None:
        return replace(subject, film=film)
    scale = pixels_per_cm / subject.recording.info.pixels_per_cm
    if not (np.isfinite(scale) and scale > 0):
        raise DataError(f"expected pixels per cm above 0, found {pixels_per_cm:g}")
    return replace(subject, film=film, film_px_per_px=scale)
