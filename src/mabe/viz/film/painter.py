"""One frame of an annotated film: poses, names, bouts, and a strip of time beneath.

The strip has a row for each action of whom to whom: annotated bouts are the thin bar
above, predicted bouts the one below, and the curve is the probability. Now is the
vertical line in the middle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from mabe.errors import ConfigError, DataError
from mabe.viz.colours import animal_colours
from mabe.viz.film.film_rows import FilmRow, is_within, spans_within, tracked_rows

try:
    import matplotlib as mpl
    from matplotlib.ft2font import FT2Font
    from PIL import Image as Picture
    from PIL import ImageDraw, ImageFont
except ImportError as error:
    raise ConfigError(
        f'films need {error.name}, which is not installed; pip install "mabe[video]"'
    ) from None

GROUND = (20, 24, 29)
"""Behind poses without a film, and behind the strip."""


_SOFT, _BRIGHT, _LINE = (150, 160, 172), (235, 238, 242), (48, 55, 64)


_ROW, _AXIS, _GAP = 24, 20, 6
"""Heights in pixels of a row of the strip, of its axis, and of the space above."""


_GUTTER = 0.3
"""The share of the width that the names of rows have."""


_TEXT, _SMALL = 15, 12


Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where the picture and the strip are in a frame."""

    width: int
    picture_height: int
    strip_height: int

    @property
    def height(self) -> int:
        """The height of a frame."""
        return self.picture_height + self.strip_height

    @classmethod
    def of(cls, width: int, height: int, rows: int) -> "Canvas":
        """Return the canvas of a picture above so many rows."""
        strip = _GAP + rows * _ROW + _AXIS if rows else 0
        return cls(width + width % 2, height, strip + (height + strip) % 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The points of all animals, and what joins them."""

    animals: tuple[int, ...]
    """The animal of each point."""
    names: dict[int, str]
    """Of each animal that is tracked."""
    lab_names: tuple[str, ...]
    """The lab's names of the animals 1, 2 …, where it gives them."""
    bones: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Fonts:
    """The letters of a film."""

    text: "ImageFont.FreeTypeFont"
    small: "ImageFont.FreeTypeFont"

    @classmethod
    def of_file(cls, path: Path | None = None) -> "Fonts":
        """Return the letters of a font file; by default DejaVu Sans, as in figures.

        Raises `DataError` where the file is no font.
        """
        file = path or Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        try:
            sizes = [ImageFont.truetype(str(file), size) for size in (_TEXT, _SMALL)]
        except OSError as error:
            raise DataError(f"{file}: is no font that can be read ({error})") from None
        return cls(*sizes)

    def missing(self, texts: Sequence[str]) -> str:
        """Return the characters of some texts that the font lacks."""
        known = FT2Font(str(self.text.path)).get_charmap()
        used = {each for text in texts for each in text if not each.isspace()}
        return "".join(sorted(each for each in used if ord(each) not in known))


@dataclass(slots=True)
class Painter:
    """Draws frames of one film; what does not change is drawn once."""

    canvas: Canvas
    body: Body
    rows: Sequence[FilmRow]
    """Those of the strip."""
    colours: dict[str, Rgb]
    """Of the actions."""
    fps: float
    """Of the recording, whose frames rows and points are of."""
    fonts: Fonts
    strip_s: float = 20.0
    """The time that the strip shows at once."""
    every_row: Sequence[FilmRow] = ()
    """All rows: bouts of those that the strip lacks are named in the picture too."""
    _texts: dict[tuple[str, Rgb], "Picture.Image"] = field(default_factory=dict)
    _gutter: "Picture.Image | None" = None

    def paint(
        self,
        picture: UInt8[np.ndarray, "y x 3"] | None,
        points: Float[np.ndarray, "point 2"] | None,
        frame: int,
        seconds: float,
        note: str = "",
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Return a frame: `points` are in pixels of the canvas, `frame` is of the rows.

        Without a picture the ground is plain; `note` is shown instead of it.
        """
        size = self.canvas.width, self.canvas.height
        page = Picture.new("RGB", size, GROUND)
        if picture is not None:
            own = Picture.fromarray(np.ascontiguousarray(picture))
            where = self.canvas.width, self.canvas.picture_height
            page.paste(own if own.size == where else own.resize(where), (0, 0))
        pen = ImageDraw.Draw(page)
        if points is not None:
            self._draw_poses(page, pen, points)
        self._draw_bouts(page, pen, frame)
        clock = f"{int(seconds // 60)}:{seconds % 60:05.2f}  {frame}"
        wide = pen.textlength(clock, self.fonts.small)
        self._write(pen, (self.canvas.width - wide - 8, 6), clock, self.fonts.small)
        if note:
            at = (8, self.canvas.picture_height - 20)
            self._write(pen, at, note, self.fonts.small)
        if self.rows:
            self._draw_strip(page, pen, frame)
        return np.asarray(page)

    def _write(
        self,
        pen: "ImageDraw.ImageDraw",
        at: tuple[float, float],
        text: str,
        font: "ImageFont.FreeTypeFont",
        colour: Rgb = _BRIGHT,
    ) -> None:
        pen.text(at, text, colour, font, stroke_width=2, stroke_fill=(0, 0, 0))

    def _label(self, text: str, colour: Rgb) -> "Picture.Image":
        """Return a text with an outline, drawn once."""
        if (text, colour) not in self._texts:
            left, top, right, bottom = self.fonts.text.getbbox(text, stroke_width=3)
            size = int(right - left) + 2, int(bottom - top) + 2
            made = Picture.new("RGBA", size, (0, 0, 0, 0))
            ImageDraw.Draw(made).text(
                (1 - left, 1 - top),
                text,
                colour,
                self.fonts.text,
                stroke_width=3,
                stroke_fill=(0, 0, 0),
            )
            self._texts[text, colour] = made
        return self._texts[text, colour]

    def _draw_poses(
        self,
        page: "Picture.Image",
        pen: "ImageDraw.ImageDraw",
        points: Float[np.ndarray, "point 2"],
    ) -> None:
        is_tracked = tracked_rows(points)
        places = [tuple(each) for each in points.tolist()]
        unit = max(1.0, self.canvas.width / 640)
        for width, dark in ((3 * unit + 2, True), (3 * unit, False)):
            for one, other in self.body.bones:
                if is_tracked[one] and is_tracked[other]:
                    colour = (0, 0, 0) if dark else self._colour_of_point(one)
                    pen.line([places[one], places[other]], colour, round(width))
        for place in np.flatnonzero(is_tracked).tolist():
            pen.circle(
                places[place],
                3.2 * unit,
                self._colour_of_point(place),
                outline=(0, 0, 0),
            )
        for animal, name in self.body.names.items():
            mine = [p for p, of in enumerate(self.body.animals) if of == animal]
            seen = points[[p for p in mine if is_tracked[p]]]
            if not len(seen):
                continue
            label = self._label(name, _colour(animal))
            x = float(seen[:, 0].mean()) - label.width / 2
            y = float(seen[:, 1].min()) - label.height - 6 * unit
            x = min(max(x, 2), self.canvas.width - label.width - 2)
            y = min(max(y, 2), self.canvas.picture_height - label.height - 2)
            page.paste(label, (round(x), round(y)), label)

    def _colour_of_point(self, point: int) -> Rgb:
        return _colour(self.body.animals[point])

    def _name(self, row: FilmRow) -> str:
        animals = row.animals(self.body.lab_names)
        return f"{row.action}  {animals}" if animals else row.action

    def _draw_bouts(
        self, page: "Picture.Image", pen: "ImageDraw.ImageDraw", frame: int
    ) -> None:
        """Name the bouts of now in the corner of the picture."""
        y, has_labels = 6, any(len(row.annotated) for row in self.every_row)
        for row in self.every_row:
            says = [
                word
                for word, spans in (
                    ("predicted", row.predicted),
                    ("annotated", row.annotated),
                )
                if is_within(spans, frame)
            ]
            if not says or y + 22 > self.canvas.picture_height:
                continue
            text = self._name(row)
            if has_labels:
                text += f"  ({' and '.join(says)})"
            colour = self.colours.get(row.action, _SOFT)
            pen.rectangle((8, y + 4, 20, y + 16), colour, outline=(0, 0, 0))
            page.paste(self._label(text, _BRIGHT), (26, y), self._label(text, _BRIGHT))
            y += 22

    # ── the strip ──

    def _draw_strip(
        self, page: "Picture.Image", pen: "ImageDraw.ImageDraw", frame: int
    ) -> None:
        top = self.canvas.picture_height + _GAP
        if self._gutter is None:
            self._gutter = self._draw_gutter()
        page.paste(self._gutter, (0, top))
        left, right = self._gutter.width, self.canvas.width - 8
        span = max(1.0, self.strip_s * self.fps)
        zoom, first = (right - left) / span, frame + 0.5 - span / 2

        def x(at: float) -> float:
            return min(max(left + (at - first) * zoom, left), right)

        start, stop = max(0, int(first)), int(first + span) + 1
        for number, row in enumerate(self.rows):
            y = top + number * _ROW
            colour = self.colours.get(row.action, _SOFT)
            pen.line([(left, y + _ROW - 2), (right, y + _ROW - 2)], _LINE)
            for spans, low, high, fill in (
                (row.annotated, 1, 5, _BRIGHT),
                (row.predicted, 7, _ROW - 3, _dim(colour)),
            ):
                for a, b in spans_within(spans, start, stop).tolist():
                    pen.rectangle((x(a), y + low, max(x(a), x(b) - 1), y + high), fill)
            self._draw_curve(pen, row, (start, stop), x, y, colour)
        middle, bottom = (left + right) / 2, top + len(self.rows) * _ROW
        pen.line([(middle, top - 2), (middle, bottom)], _BRIGHT)
        self._draw_axis(pen, frame, x, bottom)

    def _draw_gutter(self) -> "Picture.Image":
        width = round(self.canvas.width * _GUTTER)
        made = Picture.new("RGB", (width, len(self.rows) * _ROW + _AXIS), GROUND)
        pen = ImageDraw.Draw(made)
        for number, row in enumerate(self.rows):
            text = self._name(row)
            while len(text) > 2 and pen.textlength(text, self.fonts.small) > width - 16:
                text = text.removesuffix("…")[:-1] + "…"
            colour = self.colours.get(row.action, _SOFT)
            pen.text((8, number * _ROW + 5), text, colour, self.fonts.small)
        if any(len(row.annotated) for row in self.rows):
            at = (8, len(self.rows) * _ROW + 3)
            pen.text(at, "white bars: annotated", _SOFT, self.fonts.small)
        return made

    def _draw_curve(
        self,
        pen: "ImageDraw.ImageDraw",
        row: FilmRow,
        frames: tuple[int, int],
        x: Callable[[float], float],
        y: float,
        colour: Rgb,
    ) -> None:
        if row.probabilities is None:
            return
        start, stop = frames[0], min(frames[1], len(row.probabilities))
        values = row.probabilities[start:stop].tolist()
        line: list[tuple[float, float]] = []
        for at, value in enumerate(values, start):
            if value == 255:  # none here
                if len(line) > 1:
                    pen.line(line, colour)
                line = []
                continue
            line.append((x(at + 0.5), y + _ROW - 3 - value / 254 * (_ROW - 10)))
        if len(line) > 1:
            pen.line(line, colour)

    def _draw_axis(
        self,
        pen: "ImageDraw.ImageDraw",
        frame: int,
        x: Callable[[float], float],
        y: float,
    ) -> None:
        step = next(
            (each for each in (1, 2, 5, 10, 30, 60) if each * 8 >= self.strip_s), 300
        )
        now = frame / self.fps
        first = int((now - self.strip_s / 2) // step) * step
        for seconds in range(first, int(now + self.strip_s / 2) + 1, step):
            at = x(seconds * self.fps)
            text = f"{seconds // 60}:{seconds % 60:02d}"
            wide = pen.textlength(text, self.fonts.small)
            is_inside = x(-1e12) + wide / 2 < at < x(1e12) - wide / 2
            if seconds >= 0 and is_inside:
                pen.line([(at, y), (at, y + 3)], _SOFT)
                pen.text((at - wide / 2, y + 3), text, _SOFT, self.fonts.small)


def rgb(colour: str) -> Rgb:
    """Return a colour such as ``#2a7fb8`` as three numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _colour(animal: int) -> Rgb:
    colours = animal_colours()
    return rgb(colours[(animal - 1) % len(colours)].on_dark)


def _dim(colour: Rgb) -> Rgb:
    """Return a colour mixed with the ground, so that a curve on it is seen."""
    mixed = [round(0.45 * c + 0.55 * g) for c, g in zip(colour, GROUND, strict=True)]
    return mixed[0], mixed[1], mixed[2]
