"""``zones`` of project.yaml: the parts of an arena, drawn as shapes.

::

    zones:
      centre: {circle: [320, 240, 100]}              # x, y and radius in pixels
      open: {rectangle: [0, 200, 640, 280]}          # left, top, right, bottom
      corner: {polygon: [[0, 0], [80, 0], [0, 80]], unit: cm}
      arms: [{rectangle: [0, 200, 270, 280]}, {rectangle: [370, 200, 640, 280]}]
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mabe.zones import Circle, Polygon, Zone, shape_of

Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class ZoneSettings(BaseModel):
    """The shape of one zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    circle: tuple[Coordinate, Coordinate, Coordinate] | None = None
    """The centre's x and y, and the radius."""
    rectangle: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    """Left, top, right and bottom."""
    polygon: tuple[tuple[Coordinate, Coordinate], ...] | None = None
    parts: tuple["ZoneSettings", ...] | None = None
    """Several shapes that are one zone; a list of them is the short form."""
    unit: Literal["px", "cm"] = "px"

    @model_validator(mode="before")
    @classmethod
    def _allow_a_list(cls, value: Any) -> Any:
        return {"parts": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _choose_one(self) -> "ZoneSettings":
        shapes = (self.circle, self.rectangle, self.polygon, self.parts)
        if sum(shape is not None for shape in shapes) != 1:
            raise ValueError("needs one of circle, rectangle and polygon")
        if self.parts is None:
            self.shape()
        elif not self.parts or any(part.parts is not None for part in self.parts):
            raise ValueError("a list of shapes needs one at least, and no list in it")
        return self

    def shape(self) -> Polygon | Circle:
        """Return the shape in its unit; raises `ValueError` for one without area."""
        if self.circle is not None:
            return Circle(*self.circle)
        if self.rectangle is not None:
            left, top, right, bottom = self.rectangle
            return Polygon.rectangle(left=left, top=top, right=right, bottom=bottom)
        return Polygon(self.polygon or ())

    def in_cm(self, name: str, pixels_per_cm: float) -> Zone:
        """Return the zone in cm."""
        own = self.parts or (self,)
        shapes = [
            part.shape()
            if part.unit == "cm"
            else part.shape().scaled(1 / pixels_per_cm)
            for part in own
        ]
        return Zone(name, shape_of(shapes))
