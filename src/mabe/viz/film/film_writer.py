"""Films that are written frame by frame: H.264 (.mp4, .mov, .mkv) or VP9 (.webm)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av  # imported after `film_reader`, which says what to install
import numpy as np

from mabe.errors import ConfigError, OutputError
from mabe.runtime.files import create_folder
from mabe.runtime.unfinished import unfinished
from mabe.viz.film.film_reader import Image

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Endings of films in H.264, and their containers."""


_MOST_UNITS = 90_000
"""Units of time in a second; finer ones are not kept by all players."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmSize:
    """The size of frames, and the units of their times."""

    width: int
    height: int
    rate_fps: Fraction
    time_base: Fraction

    def __post_init__(self) -> None:
        if self.width % 2 or self.height % 2:
            raise ValueError(f"films need an even width and height, got {self}")


@dataclass(slots=True)
class FilmWriter:
    """A film that is being written."""

    container: "av.container.OutputContainer"
    stream: "av.VideoStream"
    size: FilmSize

    def add(self, picture: Image, time: int) -> None:
        """Append a frame that is shown at some time, in units of the time base.

        A picture that lacks a row or column repeats its last one.
        """
        lacking = self.size.height - len(picture), self.size.width - picture.shape[1]
        if any(lacking):
            padding = ((0, lacking[0]), (0, lacking[1]), (0, 0))
            picture = np.pad(picture, padding, mode="edge")
        shown = np.ascontiguousarray(picture)
        frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = time, self.size.time_base
        self.container.mux(self.stream.encode(frame))


def check_ending(out: Path) -> None:
    """Raise `ConfigError` where a film cannot be written under a name."""
    if out.suffix.lower() not in (*FORMATS, ".webm"):
        raise ConfigError(
            f"{out}: expected a name that ends with .mp4, .webm, .mov or .mkv"
        )


@contextmanager
def writing_film(
    out: Path, size: FilmSize, *, quality: int = 21
) -> Iterator[FilmWriter]:
    """Provide a writer; the film is put in its place when it is complete.

    `quality` is the constant rate factor: less is better, 18 to 28 are usual. Every
    second has a key frame, so that a page can jump. Raises `OutputError` where the
    film cannot be written.
    """
    check_ending(out)
    try:
        create_folder(out.parent)
        with unfinished(out) as beside:
            with av.open(str(beside), "w", format=_format(out)) as container:
                stream = _add_stream(container, out, size, quality)
                yield FilmWriter(container, stream, size)
                container.mux(stream.encode())
            beside.replace(out)
    except (av.error.FFmpegError, OSError) as error:
        raise OutputError(
            f"{out}: the film cannot be written: {error}; is the disk full, or the "
            "folder read-only?"
        ) from error


def _format(out: Path) -> str:
    return FORMATS.get(out.suffix.lower(), "webm")


def _add_stream(
    container: "av.container.OutputContainer", out: Path, size: FilmSize, quality: int
) -> "av.VideoStream":
    every = max(1, round(float(size.rate_fps)))
    if out.suffix.lower() == ".webm":
        name = "libvpx-vp9"
        options = {
            "crf": str(quality + 9),
            "b": "0",
            "deadline": "realtime",
            "cpu-used": "6",
            "row-mt": "1",
        }
    else:
        name = "libx264"
        options = {"crf": str(quality), "preset": "veryfast", "bf": "0"}
    options["g"] = str(every)
    rate = size.rate_fps.limit_denominator(60_000)
    stream = container.add_stream(name, rate=rate, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height = size.width, size.height
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = size.time_base
    stream.time_base = size.time_base
    return stream


def usable_time_base(time_base: Fraction) -> Fraction:
    """Return units of time that every player keeps, as fine as the given ones if so."""
    if time_base.numerator == 1 and time_base.denominator <= _MOST_UNITS:
        return time_base
    return Fraction(1, _MOST_UNITS)


def blank(width: int, height: int, colour: tuple[int, int, int]) -> Image:
    """Return a picture of one colour."""
    return np.full((height, width, 3), colour, np.uint8)
