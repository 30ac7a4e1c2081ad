"""Small films whose frames are told apart by how bright they are."""

from fractions import Fraction

import av
import numpy as np

STEP = 19
"""Frame n is so much brighter than the one before; every 12 frames begin anew."""

CODECS = {
    "h264.mp4": ("libx264", {"bf": "2", "g": "8", "crf": "10"}),
    "mpeg4.avi": ("mpeg4", {"g": "8", "qscale": "2"}),
    "mpeg4.mp4": ("mpeg4", {"g": "8", "qscale": "2"}),
    "mjpeg.avi": ("mjpeg", {"qscale": "2"}),
    "vp9.webm": ("libvpx-vp9", {"crf": "20", "b": "0"}),
}
"""The codecs that the tests write, by the names of their films."""


def write_film(path, *, frames=30, fps=25, size=(64, 48), kind=None, times=None):
    """Write a film; its codec is that of `kind`, by default of its ending.

    `times` are those of frames, in units of 1 / fps; by default 0, 1, 2 …
    """
    usual = {".mp4": "h264.mp4", ".webm": "vp9.webm", ".avi": "mpeg4.avi"}
    name, options = CODECS[kind or usual[path.suffix]]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(name, rate=Fraction(fps), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if name == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for number in range(frames):
            grey = np.full((size[1], size[0], 3), brightness_of(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def brightness_of(number):
    return (number % 12) * STEP + 8


def number_of(picture, near):
    """Return which frame a picture is, one of those near a number."""
    bright = float(np.asarray(picture).mean())
    return min(
        range(max(0, near - 5), near + 6), key=lambda n: abs(brightness_of(n) - bright)
    )
