"""Using a recogniser on recordings of any length: split, predict, stitch.

Windows overlap by half and are blended with weights that fall linearly to their
ends, so that there is no seam. Poses and probabilities are at the working rate.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from mabe.ensembles import Ensemble
from mabe.pair_windows import see_from
from mabe.pairs import View
from mabe.recogniser import PairRecogniser, Recogniser, SceneRecogniser
from mabe.store import PoseStore
from mabe.variants import pair_variants, scene_variants

BATCH_FRAMES = 8_192
"""Frames that go through the network at once; bounds the memory."""

Poses = Float[np.ndarray, "b t a k 2"]
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


@torch.inference_mode()
def frame_probabilities(
    recogniser: Recogniser | Ensemble,
    tracks: Tracks,
    possible: Bool[np.ndarray, " classes"],
    *,
    variants: int = 1,
) -> Float[np.ndarray, "time classes"]:
    """Return the probability of each class at every frame of the working rate.

    Classes that are not possible get 0. With `variants` the recording is also shown
    changed (see `mabe.variants`), and the probabilities are averaged. The recogniser is
    used as it is: put it into `eval` mode and onto its device before.
    """
    if isinstance(recogniser, Ensemble):
        members = zip(recogniser.members, recogniser.weights, strict=True)
        return sum_arrays(
            weight * frame_probabilities(member, tracks, possible, variants=variants)
            for member, weight in members
        )
    assert isinstance(recogniser, SceneRecogniser)
    device = next(recogniser.parameters()).device
    possible_N = torch.from_numpy(possible).to(device)
    changes = scene_variants(variants, turns_matter=not recogniser.config.scene_frame)

    def answer(poses: Poses) -> Float[np.ndarray, "b t n"]:
        poses_BTAK2 = torch.from_numpy(poses).to(device)
        answers = [
            recogniser.probabilities(change.of(poses_BTAK2), possible_N)
            for change in changes
        ]
        return torch.stack(answers).mean(dim=0).cpu().numpy()

    window = recogniser.config.sequence_length
    return _in_windows(answer, tracks, window=window, answers=len(possible))


@torch.inference_mode()
def view_probabilities(
    recogniser: Recogniser | Ensemble,
    tracks: Tracks,
    view: View,
    lab: str,
    *,
    variants: int = 1,
) -> Float[np.ndarray, "time actions"]:
    """Return each action's probability from a view, at the working rate.

    Actions without a direction get the mean over both directions. For `variants` see
    `frame_probabilities`.
    """
    if isinstance(recogniser, Ensemble):
        members = zip(recogniser.members, recogniser.weights, strict=True)
        return sum_arrays(
            weight * view_probabilities(member, tracks, view, lab, variants=variants)
            for member, weight in members
        )
    assert isinstance(recogniser, PairRecogniser)
    seen = _one_view(recogniser, tracks, view, lab, variants)
    undirected = [
        place
        for place, action in enumerate(recogniser.task.actions)
        if action in recogniser.task.undirected
    ]
    if undirected and not view.is_self:
        back = _one_view(recogniser, tracks, view.reverse, lab, variants)
        seen[:, undirected] = (seen[:, undirected] + back[:, undirected]) / 2
    return seen


def _one_view(
    recogniser: PairRecogniser, tracks: Tracks, view: View, lab: str, variants: int
) -> Float[np.ndarray, "time actions"]:
    device = next(recogniser.parameters()).device
    lab_number = recogniser.task.lab_number(lab)
    changes = pair_variants(variants)
    from_view = Tracks(
        tracks.length, lambda start, stop: see_from(tracks.read(start, stop), view)
    )

    def answer(poses: Poses) -> Float[np.ndarray, "b t n"]:
        poses_BTPK2 = torch.from_numpy(poses).to(device)
        lab_B = torch.full((len(poses),), lab_number, device=device)
        is_self_B = torch.full((len(poses),), view.is_self, device=device)
        answers = [
            recogniser.probabilities(change.of(poses_BTPK2), lab_B, is_self_B)
            for change in changes
        ]
        return torch.stack(answers).mean(dim=0).cpu().numpy()

    return _in_windows(
        answer,
        from_view,
        window=recogniser.config.sequence_length,
        answers=len(recogniser.task.actions),
    )


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
