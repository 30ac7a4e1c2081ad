"""Using a model on recordings of any length: split, predict, stitch.

A recording is read stretch by stretch, each with some of what is around it, so that
memory does not grow with its length and features are computed once. Trees decide on a
stretch as it is; networks on windows of it, which overlap and are blended with weights
that fall linearly to their ends, so that there is no seam. Poses and probabilities are
at the working rate.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mabe.data.pair_windows import see_from
from mabe.data.store import PoseStore
from mabe.features.motion import ALL_SLOTS
from mabe.inference.tta import Variant, pair_variants, scene_variants, slots_in_variants
from mabe.models.ensemble import Ensemble
from mabe.models.model import (
    Model,
    PairModel,
    SceneModel,
    TreesModel,
)
from mabe.models.model_config import ModelConfig
from mabe.pair_task import PairTask, View

BATCH_FRAMES = 8_192
"""Frames that go through the network at once; bounds the memory."""


STRETCH_FRAMES = 6_000
"""So much of a recording is looked at, at once; bounds the memory."""


AROUND_S = {"motion": 5.0, "social": 30.0}
"""How far to each side what features, and trees, are told of a moment may reach."""


_LEAST_SUM = 1e-9


Probabilities = Float[np.ndarray, "u n"]


See = Callable[[Model, Tensor], Tensor]
"""Gives the features that a model has of poses."""


_Voice = tuple[Model, float]
"""A model, and how much it has to say."""


ReadPoses = Callable[[int, int], Float[np.ndarray, "t a k 2"]]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Poses at the working rate, read stretch by stretch."""

    length: int
    read: ReadPoses
    """``read(start, stop)`` gives poses in cm, NaN where missing."""
    slots: tuple[int, ...] = ALL_SLOTS
    """The slots that may occur; the others never do."""

    @classmethod
    def of_stored(cls, store: PoseStore, index: int) -> "Tracks":
        """Return one recording of a store."""
        about = store.recordings[index]
        return cls(
            about.length,
            lambda start, stop: store.poses_cm(index, start, stop),
            about.slots,
        )

    def seen_from(self, view: View) -> "Tracks":
        """Return the same with the agent first, then the target and the others."""
        return Tracks(
            self.length, lambda start, stop: see_from(self.read(start, stop), view)
        )


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Return where windows begin: so much in common, the last one at the end."""
    if length <= window:
        return [0]
    return [*range(0, length - window, window - overlap), length - window]


def blend_weights(window: int, overlap: int) -> Float[np.ndarray, " window"]:
    """Return weights that fall over the overlap to each end, never to zero."""
    ramp = np.arange(1, window + 1, dtype=np.float32)
    return np.minimum(ramp, ramp[::-1]).clip(max=max(1, overlap))


class Stitching:
    """Blends the answers of overlapping windows into one row of frames."""

    def __init__(self, length: int, answers: int, *, overlap: int) -> None:
        self.total = np.zeros((length, answers), np.float32)
        self.weight = np.zeros((length, 1), np.float32)
        self.overlap = overlap

    def add(self, start: int, piece: Float[np.ndarray, "window n"]) -> None:
        """Add the answers of the window that begins at `start`."""
        stop = start + len(piece)
        share = blend_weights(len(piece), self.overlap)[:, None]
        self.total[start:stop] += share * piece
        self.weight[start:stop] += share

    def result(self) -> Float[np.ndarray, "time n"]:
        """Return the answers, when every frame was in some window."""
        self.total /= self.weight
        return self.total


def look_at(model: Model, poses_BTAK2: Tensor) -> Tensor:
    """Return the features that a model has of poses."""
    return model.look(poses_BTAK2)


@torch.inference_mode()
def frame_probabilities(
    model: Model | Ensemble,
    tracks: Tracks,
    possible: Bool[np.ndarray, " classes"],
    *,
    variants: int = 1,
    see: See = look_at,
) -> Float[np.ndarray, "time classes"]:
    """Return the probability of each class at every frame of the working rate.

    Classes that are not possible get 0. With `variants` the recording is also shown
    changed (see `mabe.variants`), and the probabilities are averaged. `see` gives the
    features of poses. The model is
    used as it is: put it into `eval` mode and onto its device before.
    """
    device = find_device(model)
    possible_N = torch.from_numpy(possible).to(device)

    def of_network(member: Model, x_BTF: Tensor) -> Tensor:
        assert isinstance(member, SceneModel)
        return member.probabilities(x_BTF, possible_N)

    def of_trees(probabilities: Probabilities) -> Probabilities:
        among = np.where(possible, probabilities, 0)
        return among / among.sum(axis=1, keepdims=True).clip(min=_LEAST_SUM)

    def variants_of(config: ModelConfig) -> list[Variant]:
        if config.feature_set == "social":  # these features do not depend on the view
            return scene_variants(1, turns_matter=False)
        return scene_variants(variants, turns_matter=not config.scene_frame)

    asking = _Asking(
        tracks=tracks,
        device=device,
        answers=len(possible),
        of_network=of_network,
        of_trees=of_trees,
        variants_of=variants_of,
        see=see,
    )
    slots = slots_in_variants(tracks.slots) or ALL_SLOTS
    return asking.ask(
        [
            (each.for_use(slots) if isinstance(each, SceneModel) else each, weight)
            for each, weight in weighted_members(model)
        ]
    )


@torch.inference_mode()
def view_probabilities(
    model: Model | Ensemble,
    tracks: Tracks,
    view: View,
    lab: str,
    *,
    variants: int = 1,
    see: See = look_at,
) -> Float[np.ndarray, "time actions"]:
    """Return each action's probability from a view, at the working rate.

    Actions without a direction get the mean over both directions. For `variants` and
    `see` look at `frame_probabilities`.
    """
    task = model.task
    assert isinstance(task, PairTask)
    seen = _one_view(model, tracks, view, lab, variants, see)
    undirected = [
        place for place, action in enumerate(task.actions) if action in task.undirected
    ]
    if undirected and not view.is_self:
        back = _one_view(model, tracks, view.reverse, lab, variants, see)
        seen[:, undirected] = (seen[:, undirected] + back[:, undirected]) / 2
    return seen


def _one_view(
    model: Model | Ensemble,
    tracks: Tracks,
    view: View,
    lab: str,
    variants: int,
    see: See,
) -> Float[np.ndarray, "time actions"]:
    device = find_device(model)
    task = model.task
    assert isinstance(task, PairTask)

    def of_network(member: Model, x_BTF: Tensor) -> Tensor:
        assert isinstance(member, PairModel)
        # Members learned from different labs, so each has numbers of its own.
        number = member.task.lab_number(lab)
        lab_B = torch.full((len(x_BTF),), number, device=device)
        is_self_B = torch.full((len(x_BTF),), view.is_self, device=device)
        return member.probabilities(x_BTF, lab_B, is_self_B)

    asking = _Asking(
        tracks=tracks.seen_from(view),
        device=device,
        answers=len(task.actions),
        of_network=of_network,
        of_trees=lambda probabilities: probabilities,
        variants_of=lambda _config: pair_variants(variants),
        see=see,
    )
    return asking.ask(weighted_members(model))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """How models are asked of one recording or view."""

    tracks: Tracks
    device: torch.device
    answers: int
    of_network: Callable[[Model, Tensor], Tensor]
    """What a network says of features."""
    of_trees: Callable[[Probabilities], Probabilities]
    """What is made of the trees' probabilities."""
    variants_of: Callable[[ModelConfig], list[Variant]]
    see: See

    def ask(self, members: list[_Voice]) -> Float[np.ndarray, "time answers"]:
        """Add up what members say by their weights; one feature_key, one look."""
        by_sight: dict[tuple[Any, ...], list[_Voice]] = {}
        for member, weight in members:
            by_sight.setdefault(member.feature_key, []).append((member, weight))
        return sum_arrays(
            self._ask_trees(voices)
            if isinstance(voices[0][0], TreesModel)
            else self._ask_networks(voices)
            for voices in by_sight.values()
        )

    def _ask_networks(self, voices: list[_Voice]) -> Float[np.ndarray, "time n"]:
        first, _ = voices[0]
        assert not isinstance(first, TreesModel)
        length = self.tracks.length
        window = min(first.window, length)
        overlap = min(first.overlap, window // 2)
        stitching = Stitching(length, self.answers, overlap=overlap)
        around = round(AROUND_S[first.config.feature_set] * first.config.fps)
        for stretch, starts in windowed_stretches(length, window, overlap, around):
            sights_TF = self._looks(first, stretch)
            at_once = max(1, BATCH_FRAMES // max(1, window))
            for some in batched(starts, at_once):
                places = [start - stretch.start for start in some]
                answers = self._answer(voices, sights_TF, places, window)
                for start, piece in zip(some, answers, strict=True):
                    stitching.add(start, piece)
        return stitching.result()

    def _looks(self, first: Model, stretch: "Stretch") -> list[Tensor]:
        """Return the features of a stretch in each feature_key of it."""
        poses = self.tracks.read(stretch.read_from, stretch.read_to)
        poses_1TAK2 = torch.from_numpy(poses[None]).to(self.device)
        return [
            self.see(first, each.of(poses_1TAK2))[0, stretch.within_read]
            for each in self.variants_of(first.config)
        ]

    def _answer(
        self,
        voices: list[_Voice],
        sights_TF: list[Tensor],
        starts: Sequence[int],
        window: int,
    ) -> Float[np.ndarray, "b t n"]:
        """Return what networks say of some windows of a stretch, variants averaged."""
        said = []
        for x_TF in sights_TF:
            x_BTF = torch.stack([x_TF[start : start + window] for start in starts])
            said += [
                weight * self.of_network(member, x_BTF) for member, weight in voices
            ]
        return (torch.stack(said).sum(dim=0) / len(sights_TF)).cpu().numpy()

    def _ask_trees(self, voices: list[_Voice]) -> Float[np.ndarray, "time n"]:
        first, _ = voices[0]
        assert isinstance(first, TreesModel)
        pieces = [np.empty((0, self.answers), np.float32)]
        for stretch in stretches(self.tracks.length, first):
            rows = stretch.rows(first, self.tracks, self.see)
            said = sum_arrays(
                weight * self.of_trees(member.answer(rows))
                for member, weight in voices
                if isinstance(member, TreesModel)
            )
            pieces.append(said.repeat(first.block_frames, axis=0)[: stretch.length])
        return np.concatenate(pieces).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames of a recording that are decided on together, with some around them."""

    start: int
    stop: int
    read_from: int
    read_to: int
    """What is read, so that statistics are right at the ends too."""

    @property
    def length(self) -> int:
        """Number of frames that are decided on."""
        return self.stop - self.start

    @property
    def within_read(self) -> slice:
        """Where the frames that are decided on lie among those that are read."""
        return slice(self.start - self.read_from, self.stop - self.read_from)

    def rows(
        self,
        model: TreesModel,
        tracks: Tracks,
        see: See,
    ) -> Float[np.ndarray, "u r"]:
        """Return the rows of its blocks of frames."""
        poses = torch.from_numpy(tracks.read(self.read_from, self.read_to)[None])
        rows = model.rows(see(model, poses)[0])
        size = model.block_frames
        first = (self.start - self.read_from) // size
        return rows[first : first + math.ceil(self.length / size)]


def stretches(length: int, model: TreesModel) -> list[Stretch]:
    """Return the stretches of a recording of so many frames; they bound the memory."""
    size, fps = model.block_frames, model.config.fps
    own = max(1, STRETCH_FRAMES // size) * size
    around = round(AROUND_S[model.config.feature_set] * fps / size) * size
    return [
        Stretch(
            start=start,
            stop=min(start + own, length),
            read_from=max(0, start - around),
            read_to=min(start + own + around, length),
        )
        for start in range(0, length, own)
    ]


def windowed_stretches(
    length: int, window: int, overlap: int, around: int
) -> Iterator[tuple[Stretch, tuple[int, ...]]]:
    """Yield the stretches that a network looks at, and where windows begin in each."""
    room = max(0, STRETCH_FRAMES - window)
    starts = window_starts(length, window, overlap)
    for some in batched(starts, 1 + room // max(1, window - overlap)):
        start, stop = some[0], some[-1] + window
        yield (
            Stretch(start, stop, max(0, start - around), min(stop + around, length)),
            some,
        )


def batched(items: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Yield items in order, at most so many at once (`itertools` has it from 3.12)."""
    for first in range(0, len(items), most):
        yield tuple(items[first : first + most])


def weighted_members(
    model: Model | Ensemble,
) -> list[_Voice]:
    """Return the models of one, and how much each has to say."""
    if isinstance(model, Ensemble):
        return list(zip(model.members, model.weights, strict=True))
    return [(model, 1.0)]


def find_device(model: Model | Ensemble) -> torch.device:
    """Return where a model's numbers are."""
    first = weighted_members(model)[0][0]
    tensors = chain(first.parameters(), first.buffers())
    return next(tensors).device


def sum_arrays(
    arrays: Iterable[Float[np.ndarray, "*axes"]],
) -> Float[np.ndarray, "*axes"]:
    """Return the sum of some arrays; there has to be one."""
    return functools.reduce(np.add, arrays)
