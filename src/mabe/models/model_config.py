"""The settings of a model: what has to be known to build it and to use it.

They are kept in the model's card. Settings that matter only while a model is trained
(data, batches, learning rate …) are in `mabe.config.RunConfig`, which includes these
under the same names.

A new setting changes what the cards of earlier versions mean, since they lack it. It
needs a migration (`mabe.models.migrations`), or a default under which models behave as
they did without it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mabe.pair_task import Nearness
from mabe.skeleton import ANIMALS, BORDER, MOST_ANIMALS, RODENT, PoseLayout, Skeleton

Share = Annotated[float, Field(ge=0, le=1)]


ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]


Size = Annotated[int, Field(ge=1, le=16_384)]
"""Channels, or hidden units, of a layer."""


Layers = Annotated[int, Field(ge=1, le=16)]


Rate = Annotated[float, Field(ge=0.1, le=240)]
"""Frames per second."""


Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Settings(BaseModel):
    """Settings that are checked when they are given and do not change afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelSettings(Settings):
    """The settings that a model and the run that trains it have in common."""

    # Features
    fps: Rate = 33.3
    """The working rate; all recordings are resampled to it."""
    feature_set: Literal["motion", "social"] = "motion"
    """motion: coordinates, speeds and accelerations (V1, V2). social: distances,
    facing, approach, contact … of two animals."""
    use_motion_features: bool = True
    """Add speed and acceleration to the coordinates."""
    scene_frame: bool = True
    """Coordinates relative to the line through the animals, not to the arena."""
    max_gap_s: Seconds = 0.5
    """Gaps in a track up to this long are bridged by a straight line."""
    skeleton: Skeleton | None = None
    """The keypoints and their roles; none: those of rodents. A run on other data sets
    it from its data."""
    animals: Annotated[int, Field(ge=1, le=MOST_ANIMALS)] = ANIMALS
    """Animals that a scene has room for. A run on data with more of them raises it."""
    object_targets: bool = False
    """Features of targets that are one point. A run on data with objects sets it."""
    zone_targets: bool = False
    """Features of targets that are zones. A run on data with labels of them sets it."""
    heights: bool = False
    """Features of heights. A run on data with heights in every recording sets it."""

    # The network
    model_type: Literal["conv_bilstm", "tcn", "conv_gru", "trees", "auto"] = (
        "conv_bilstm"
    )
    """trees: boosted trees instead of a network. auto: several kinds of model, those
    known to work best for the data."""
    sequence_length: Annotated[int, Field(ge=8, le=100_000)] = 100
    """Frames in a window, at `fps`."""
    conv_channels: Annotated[tuple[Size, ...], Field(min_length=1, max_length=16)] = (
        64,
        128,
        256,
    )
    """Of each convolution of the Conv1D-BiLSTM, which also halves the rate."""
    conv_kernel: Annotated[int, Field(ge=1, le=1_001)] = 5
    """Frames; odd."""
    lstm_hidden: Size = 256
    lstm_layers: Layers = 2
    tcn_width: Size = 96
    tcn_layers: Layers = 8
    gru_width: Size = 96
    gru_layers: Layers = 1
    gru_pooling: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Frames that are averaged before the GRU."""
    dropout: ShareBelowOne = 0.3
    lab_channels: Annotated[int, Field(ge=0, le=16_384)] = 16
    """Size of the embedding of a lab (pair task)."""
    lab_dropout: Share = 0.2
    """Share of training windows whose lab is replaced by "unknown" (pair task), so that
    there is an embedding for labs outside the training data."""

    nearest_targets: Annotated[int, Field(ge=1, le=MOST_ANIMALS)] = 3
    """In groups of more than four, an agent acts towards one of so many nearest."""
    target_distance_cm: Annotated[float, Field(gt=0, le=10**5)] | None = None
    """In groups of more than four, targets farther away are not looked at."""

    @property
    def body(self) -> Skeleton:
        """The skeleton of the poses that the model needs."""
        return self.skeleton or RODENT

    @property
    def pose_keypoints(self) -> tuple[str, ...]:
        """The keypoints of the poses: the body's, then a zone's border."""
        return (*self.body.keypoints, *(BORDER if self.zone_targets else ()))

    def layout_for(self, animals: int) -> PoseLayout:
        """Return the layout of what a model reads, with room for so many animals."""
        return PoseLayout(animals, self.pose_keypoints, self.heights)

    @property
    def nearness(self) -> Nearness:
        """How near a target has to be in a group."""
        return Nearness(self.nearest_targets, self.target_distance_cm)

    @property
    def layout(self) -> PoseLayout:
        """The animals and keypoints of the poses that the model needs."""
        return PoseLayout(self.animals, self.body.keypoints)

    @property
    def is_grown(self) -> bool:
        """Whether it is boosted trees, which are grown at once and have no epochs."""
        return self.model_type == "trees"

    @model_validator(mode="after")
    def _check_model(self) -> "ModelSettings":
        if self.is_grown and self.feature_set != "social":
            raise ValueError(
                "model_type: trees needs social features; set feature_set: social, or "
                "choose a network"
            )
        if self.zone_targets and self.feature_set != "social":
            raise ValueError(
                "actions are directed at zones, which needs social features; set "
                "feature_set: social"
            )
        if self.heights and self.feature_set != "social":
            raise ValueError(
                "heights are used by social features alone; set feature_set: social"
            )
        if self.conv_kernel % 2 == 0:
            raise ValueError(f"conv_kernel has to be odd, is {self.conv_kernel}")
        return self


class ModelConfig(ModelSettings):
    """The settings of one model, as its card keeps them."""

    model_type: Literal["conv_bilstm", "tcn", "conv_gru", "trees"] = "conv_bilstm"
    base_classes: tuple[tuple[str, ...], ...] = ()
    """Of trees that were grown on those of earlier models: the classes of each of
    these, the earliest first."""

    @classmethod
    def of(cls, settings: ModelSettings) -> "ModelConfig":
        """Return those of some settings that belong to the model."""
        names = ModelSettings.model_fields
        return cls(**{name: getattr(settings, name) for name in names})
