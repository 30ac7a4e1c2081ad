"""Using a recogniser on recordings of any length: split, predict, stitch.

A network's windows overlap by half and are blended with weights that fall linearly to
their ends, so that there is no seam; trees see long stretches with some of what is
around. Poses and probabilities are at the working rate.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mabe.augment import center_scene
from mabe.config import RunConfig
from mabe.ensembles import Ensemble
from mabe.pair_windows import see_from
from mabe.pairs import PairTask, View
from mabe.recogniser import (
    PairRecogniser,
    Recogniser,
    SceneRecogniser,
    TreesRecogniser,
)
from mabe.store import PoseStore
from mabe.tasks import SceneTask
from mabe.variants import Variant, pair_variants, scene_variants

BATCH_FRAMES = 8_192
"""Frames that go through the network at once; bounds the memory."""
STRETCH_S = 600.0
"""Trees are asked of so much of a recording at once; bounds the memory."""
AROUND_S = 30.0
"""How far to each side what trees are told of a moment may reach."""
_LEAST_SUM = 1e-9

Poses = Float[np.ndarray, "b t a k 2"]
Chances = Float[np.ndarray, "u n"]
See = Callable[[Recogniser, Tensor], Tensor]
"""Gives the features that a recogniser has of poses."""
_Voice = tuple[Recogniser, float]
"""A recogniser, and how much it has to say."""
ReadPoses = Callable[[int, int], Float[np.ndarray, "t a k 2"]]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Poses at the working rate, read stretch by stretch."""

    length: int
    read: ReadPoses
    """``read(start, stop)`` gives poses in cm, NaN where missing."""

    @classmethod
    def of_stored(cls, store: PoseStore, index: int) -> "Tracks":
        """Return one recording of a store."""
        length = store.recordings[index].length
        return cls(length, lambda start, stop: store.poses_cm(index, start, stop))

    def seen_from(self, view: View) -> "Tracks":
        """Return the same with the agent first, then the target and the others."""
        return Tracks(
            self.length, lambda start, stop: see_from(self.read(start, stop), view)
        )


def window_starts(length: int, window: int) -> list[int]:
    """Return where windows begin: half a window apart, the last one at the end."""
    if length <= window:
        return [0]
    hop = max(1, window // 2)
    return [*range(0, length - window, hop), length - window]


def blend_weights(window: int) -> Float[np.ndarray, " window"]:
    """Return weights that fall from the middle to the ends, never to zero."""
    ramp = np.arange(1, window + 1, dtype=np.float32)
    return np.minimum(ramp, ramp[::-1])


def stitch(
    pieces: Iterator[tuple[int, Float[np.ndarray, "window classes"]]],
    length: int,
    classes: int,
) -> Float[np.ndarray, "time classes"]:
    """Blend the predictions of overlapping windows into one of `length` frames."""
    total = np.zeros((length, classes), np.float32)
    weight = np.zeros((length, 1), np.float32)
    for start, piece in pieces:
        share = blend_weights(len(piece))[:, None]
        total[start : start + len(piece)] += share * piece
        weight[start : start + len(piece)] += share
    return total / weight


def look_at(recogniser: Recogniser, poses_BTAK2: Tensor) -> Tensor:
    """Return the features that a recogniser has of poses."""
    if isinstance(recogniser.task, SceneTask):
        poses_BTAK2 = center_scene(poses_BTAK2)
    return recogniser.look(poses_BTAK2)


@torch.inference_mode()
def frame_probabilities(
    recogniser: Recogniser | Ensemble,
    tracks: Tracks,
    possible: Bool[np.ndarray, " classes"],
    *,
    variants: int = 1,
    see: See = look_at,
) -> Float[np.ndarray, "time classes"]:
    """Return the probability of each class at every frame of the working rate.

    Classes that are not possible get 0. With `variants` the recording is also shown
    changed (see `mabe.variants`), and the probabilities are averaged. `see` gives the
    features of poses. The recogniser is
    used as it is: put it into `eval` mode and onto its device before.
    """
    device = find_device(recogniser)
    possible_N = torch.from_numpy(possible).to(device)

    def of_network(member: Recogniser, x_BTF: Tensor) -> Tensor:
        assert isinstance(member, SceneRecogniser)
        return member.probabilities(x_BTF, possible_N)

    def of_trees(chances: Chances) -> Chances:
        among = np.where(possible, chances, 0)
        return among / among.sum(axis=1, keepdims=True).clip(min=_LEAST_SUM)

    def sights(config: RunConfig) -> list[Variant]:
        if config.feature_set == "social":  # no sight changes what animals do
            return scene_variants(1, turns_matter=False)
        return scene_variants(variants, turns_matter=not config.scene_frame)

    asking = _Asking(
        tracks=tracks,
        device=device,
        answers=len(possible),
        of_network=of_network,
        of_trees=of_trees,
        sights=sights,
        see=see,
    )
    return asking.ask(recogniser)


@torch.inference_mode()
def view_probabilities(
    recogniser: Recogniser | Ensemble,
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
    task = recogniser.task
    assert isinstance(task, PairTask)
    seen = _one_view(recogniser, tracks, view, lab, variants, see)
    undirected = [
        place for place, action in enumerate(task.actions) if action in task.undirected
    ]
    if undirected and not view.is_self:
        back = _one_view(recogniser, tracks, view.reverse, lab, variants, see)
        seen[:, undirected] = (seen[:, undirected] + back[:, undirected]) / 2
    return seen


def _one_view(
    recogniser: Recogniser | Ensemble,
    tracks: Tracks,
    view: View,
    lab: str,
    variants: int,
    see: See,
) -> Float[np.ndarray, "time actions"]:
    device = find_device(recogniser)
    task = recogniser.task
    assert isinstance(task, PairTask)

    def of_network(member: Recogniser, x_BTF: Tensor) -> Tensor:
        assert isinstance(member, PairRecogniser)
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
        of_trees=lambda chances: chances,
        sights=lambda _config: pair_variants(variants),
        see=see,
    )
    return asking.ask(recogniser)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """How recognisers are asked of one recording or view."""

    tracks: Tracks
    device: torch.device
    answers: int
    of_network: Callable[[Recogniser, Tensor], Tensor]
    """What a network says of features."""
    of_trees: Callable[[Chances], Chances]
    """What is made of the trees' probabilities."""
    sights: Callable[[RunConfig], list[Variant]]
    see: See

    def ask(
        self, recogniser: Recogniser | Ensemble
    ) -> Float[np.ndarray, "time answers"]:
        """Add up what members say by their weights; those of one sight look once."""
        by_sight: dict[tuple[Any, ...], list[_Voice]] = {}
        for member, weight in weighted_members(recogniser):
            by_sight.setdefault(member.sight, []).append((member, weight))
        return sum_arrays(
            self._ask_trees(voices)
            if isinstance(voices[0][0], TreesRecogniser)
            else self._ask_networks(voices)
            for voices in by_sight.values()
        )

    def _ask_networks(self, voices: list[_Voice]) -> Float[np.ndarray, "time n"]:
        first, _ = voices[0]
        changes = self.sights(first.config)

        def answer(poses: Poses) -> Float[np.ndarray, "b t n"]:
            poses_BTAK2 = torch.from_numpy(poses).to(self.device)
            said = [
                weight * self.of_network(member, x_BTF)
                for x_BTF in (self.see(first, each.of(poses_BTAK2)) for each in changes)
                for member, weight in voices
            ]
            return (torch.stack(said).sum(dim=0) / len(changes)).cpu().numpy()

        assert not isinstance(first, TreesRecogniser)
        return _in_windows(
            answer, self.tracks, window=first.window, answers=self.answers
        )

    def _ask_trees(self, voices: list[_Voice]) -> Float[np.ndarray, "time n"]:
        first, _ = voices[0]
        assert isinstance(first, TreesRecogniser)
        pieces = [np.empty((0, self.answers), np.float32)]
        for stretch in stretches(self.tracks.length, first):
            rows = stretch.rows(first, self.tracks, self.see)
            said = sum_arrays(
                weight * self.of_trees(member.answer(rows))
                for member, weight in voices
                if isinstance(member, TreesRecogniser)
            )
            pieces.append(said.repeat(first.block_frames, axis=0)[: stretch.length])
        return np.concatenate(pieces).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames of a recording that trees decide on together, with some around them."""

    start: int
    stop: int
    read_from: int
    read_to: int
    """What is read, so that statistics are right at the ends too."""

    @property
    def length(self) -> int:
        """Number of frames that are decided on."""
        return self.stop - self.start

    def rows(
        self,
        recogniser: TreesRecogniser,
        tracks: Tracks,
        see: See,
    ) -> Float[np.ndarray, "u r"]:
        """Return the rows of its blocks of frames."""
        poses = torch.from_numpy(tracks.read(self.read_from, self.read_to)[None])
        rows = recogniser.rows(see(recogniser, poses)[0])
        size = recogniser.block_frames
        first = (self.start - self.read_from) // size
        return rows[first : first + math.ceil(self.length / size)]


def stretches(length: int, recogniser: TreesRecogniser) -> list[Stretch]:
    """Return the stretches of a recording of so many frames; they bound the memory."""
    size, fps = recogniser.block_frames, recogniser.config.fps
    own = round(STRETCH_S * fps / size) * size
    around = round(AROUND_S * fps / size) * size
    return [
        Stretch(
            start=start,
            stop=min(start + own, length),
            read_from=max(0, start - around),
            read_to=min(start + own + around, length),
        )
        for start in range(0, length, own)
    ]


def weighted_members(
    recogniser: Recogniser | Ensemble,
) -> list[_Voice]:
    """Return the recognisers of one, and how much each has to say."""
    if isinstance(recogniser, Ensemble):
        return list(zip(recogniser.members, recogniser.weights, strict=True))
    return [(recogniser, 1.0)]


def find_device(recogniser: Recogniser | Ensemble) -> torch.device:
    """Return where a recogniser's numbers are."""
    first = weighted_members(recogniser)[0][0]
    tensors = chain(first.parameters(), first.buffers())
    return next(tensors).device


def sum_arrays(
    arrays: Iterable[Float[np.ndarray, "*axes"]],
) -> Float[np.ndarray, "*axes"]:
    """Return the sum of some arrays; there has to be one."""
    return functools.reduce(np.add, arrays)


def _in_windows(
    answer: Callable[[Poses], Float[np.ndarray, "b t n"]],
    tracks: Tracks,
    *,
    window: int,
    answers: int,
) -> Float[np.ndarray, "time n"]:
    """Answer for windows of a recording, and stitch the answers."""
    window = min(window, tracks.length)
    starts = window_starts(tracks.length, window)
    at_once = max(1, BATCH_FRAMES // max(1, window))

    def pieces() -> Iterator[tuple[int, Float[np.ndarray, "window n"]]]:
        for first in range(0, len(starts), at_once):
            some = starts[first : first + at_once]
            poses = np.stack([tracks.read(start, start + window) for start in some])
            yield from zip(some, answer(poses), strict=True)

    return stitch(pieces(), tracks.length, answers)
