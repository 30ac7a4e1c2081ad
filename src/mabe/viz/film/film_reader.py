"""Films that are read frame by frame, with the frames' numbers as trackers count them.

A frame's number is its place in the order of presentation, from 0, whatever its time:
cameras of phones film at varying rates. An index of all times is made first, without
decoding, so that a film can be read from any frame on and gives the same numbers.
Films are turned as their metadata say, as browsers and trackers do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from mabe.errors import ConfigError, DataError

try:
    import av
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
except ImportError:
    raise ConfigError(
        'films need PyAV, which is not installed; pip install "mabe[video]"'
    ) from None

Image = UInt8[np.ndarray, "y x 3"]
"""A picture in red, green and blue."""


PLAYED = {
    "h264": ("yuv420p", "yuvj420p"),
    "vp8": ("yuv420p",),
    "vp9": ("yuv420p",),
    "av1": ("yuv420p", "yuv420p10le"),
}
"""Codecs that browsers play, and in which pixel formats."""


_CONTAINERS = ("mp4", "webm")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmFacts:
    """What is known of a film before its frames are decoded."""

    path: Path
    container: str
    codec: str
    pixel_format: str
    width: int
    """Pixels of a frame as it is shown, that is turned."""
    height: int
    turned_degrees: int
    """By so much the stored frames are turned counter-clockwise to be shown."""
    rate_fps: Fraction
    """The mean rate."""
    time_base: Fraction
    """Seconds of one unit of `times`."""
    times: Int[np.ndarray, " frame"]
    """When each frame is shown, ascending."""

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.times)

    @property
    def is_played(self) -> bool:
        """Whether browsers play it."""
        return _is_played(self.container, self.codec, self.pixel_format)

    def seconds(self, frame: int) -> float:
        """Return when a frame is shown, from the first one on."""
        if frame >= self.frames:
            after = (frame - self.frames + 1) / float(self.rate_fps)
            return self.seconds(self.frames - 1) + after
        return float((int(self.times[frame]) - int(self.times[0])) * self.time_base)

    def frame_at(self, seconds: float) -> int:
        """Return the first frame that is shown at some time or later."""
        ticks = int(self.times[0]) + seconds / float(self.time_base)
        return int(np.searchsorted(self.times, ticks - 0.5))


def plays(path: Path) -> bool:
    """Return whether browsers play a film, by its first frame; False for no film."""
    try:
        with _open(path) as container:
            stream = _stream(container, path)
            codec = stream.codec_context
            return _is_played(container.format.name, codec.name, str(codec.pix_fmt))
    except DataError:
        return False


def _is_played(container: str, codec: str, pixel_format: str) -> bool:
    is_known = any(name in container for name in _CONTAINERS)
    return is_known and pixel_format in PLAYED.get(codec, ())


def read_rate(path: Path) -> float | None:
    """Return a film's mean rate as it states it; None where it does not.

    Raises `DataError` where it is no film.
    """
    with _open(path) as container:
        rate = _stream(container, path).average_rate
    return float(rate) if rate else None


def read_facts(path: Path) -> FilmFacts:
    """Return what is known of a film; raises `DataError` where it is none."""
    with _open(path) as container:
        stream = _stream(container, path)
        first = _first_frame(container, stream, path)
        turned = int(getattr(first, "rotation", 0)) % 360
        width, height = first.width, first.height
        container_name = container.format.name
        codec, pixel_format = stream.codec_context.name, first.format.name
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        time_base = stream.time_base
    times, time_base = _read_times(path, time_base, rate)
    if turned in (90, 270):
        width, height = height, width
    return FilmFacts(
        path=path,
        container=container_name,
        codec=codec,
        pixel_format=pixel_format,
        width=width,
        height=height,
        turned_degrees=turned,
        rate_fps=Fraction(rate),
        time_base=time_base,
        times=times,
    )


def read_frames(
    film: FilmFacts, start: int, stop: int
) -> Iterator[tuple[int, Image | None]]:
    """Yield the frames [start, stop) of a film with their numbers, each once.

    None stands for a frame that cannot be decoded, or lies after the film's end.
    """
    number = start
    for at, frame in _decoded(film, start, stop):
        while number < at:
            yield number, None
            number += 1
        if at == number:
            yield number, _picture(frame, film.turned_degrees)
            number += 1
        if number >= stop:
            return
    while number < stop:
        yield number, None
        number += 1


def shown_frames(film: FilmFacts) -> Iterator[tuple[int, Image]]:
    """Yield all frames as a player shows them: for a damaged one, the one before."""
    before = np.zeros((film.height, film.width, 3), np.uint8)
    for number, picture in read_frames(film, 0, film.frames):
        before = before if picture is None else picture
        yield number, before


def _decoded(
    film: FilmFacts, start: int, stop: int
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield decoded frames from `start` on or a little before, with their numbers."""
    start = min(start, film.frames)
    if start >= film.frames:
        return
    with _open(film.path) as container:
        stream = _stream(container, film.path)
        stream.thread_type = "AUTO"
        if start > 0:
            container.seek(int(film.times[start]), stream=stream, backward=True)
        count = 0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue  # a damaged frame, given as None by `read_frames`
            for frame in frames:
                at = _number(film, frame, count)
                count = at + 1
                if at >= stop:
                    return
                if at >= start:
                    yield at, frame


def _number(film: FilmFacts, frame: VideoFrame, expected: int) -> int:
    """Return a frame's number by its time; the next one where it has no time."""
    if frame.pts is None:
        return expected
    return int(np.searchsorted(film.times, frame.pts))


def _picture(frame: VideoFrame, turned_degrees: int) -> Image:
    picture = frame.to_ndarray(format="rgb24")
    return np.rot90(picture, turned_degrees // 90) if turned_degrees else picture


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: is no film that can be read ({reason})") from None


def _stream(container: InputContainer, path: Path) -> VideoStream:
    if not container.streams.video:
        raise DataError(f"{path}: holds no film, only sound or other data")
    return container.streams.video[0]


def _first_frame(
    container: InputContainer, stream: VideoStream, path: Path
) -> VideoFrame:
    try:
        return next(container.decode(stream))
    except (StopIteration, av.error.FFmpegError) as error:
        reason = str(error) or "no frame"
        raise DataError(
            f"{path}: not one frame of it can be decoded ({reason}); is the film "
            "complete?"
        ) from None


def _read_times(
    path: Path, time_base: Fraction | None, rate: Fraction
) -> tuple[Int[np.ndarray, " frame"], Fraction]:
    """Return the times of all frames in order, from their packets alone."""
    shown: list[int | None] = []
    stored: list[int | None] = []
    with _open(path) as container:
        stream = _stream(container, path)
        try:
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    shown.append(packet.pts)
                    stored.append(packet.dts)
        except av.error.FFmpegError as error:
            if not shown:
                raise DataError(f"{path}: cannot be read ({error})") from None
    for times in (shown, stored):
        known = np.array([each for each in times if each is not None], np.int64)
        if time_base and len(known) == len(times) == len(np.unique(known)):
            return np.sort(known), time_base
    return np.arange(len(shown), dtype=np.int64), 1 / Fraction(rate)
