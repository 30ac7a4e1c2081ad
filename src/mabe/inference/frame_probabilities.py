"""Probabilities of every frame of a recording of any length, by a model or an ensemble.

A recording is read stretch by stretch (see `mabe.models.prediction_windows`), so that
memory does not grow with its length and features are computed once. Poses and
probabilities are at the working rate.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mabe.bouts import SCENE, Spans, View
from mabe.data.near_pairs import widened
from mabe.data.pair_windows import from_view
from mabe.data.store import PoseStore
from mabe.inference.stitching import Stitching
from mabe.inference.tta import mean_over_variants, pose_variants, slots_in_variants
from mabe.models.ensemble import Ensemble, WeightedModel, weighted_probabilities
from mabe.models.model import Context, Model
from mabe.models.prediction_windows import Stretch, batched
from mabe.runtime.disk_arrays import make_array
from mabe.scene_task import TaskKind
from mabe.skeleton import ANIMALS

PIECE_MARGIN_S = 5.0
"""Time around the frames that are looked at in a group, for their features."""


BATCH_FRAMES = 8_192
"""Frames that go through the network at once; bounds the memory."""


def in_layout_of(model: Model | Ensemble, store: PoseStore) -> PoseStore:
    """Return the store with the animals and keypoints that a model needs."""
    room = [
        member.features.most_animals
        for member, _ in model.members_with_weights
        if member.features.most_animals is not None
    ]
    own = store.individuals if model.config.zone_targets else store.layout.animals
    animals = min(room) if room else max(own, model.config.animals)
    layout = model.config.layout_for(animals)
    return store.in_layout(
        replace(layout, has_heights=reads_heights(model)),
        objects=model.task.kind is TaskKind.PAIR,
    )


def reads_heights(model: Model | Ensemble) -> bool:
    """Return whether a model, or a member of an ensemble, needs three dimensions."""
    return any(member.config.heights for member, _ in model.members_with_weights)


FeatureExtractor = Callable[[Model, Tensor], Tensor]
"""Returns the features that a model has of poses."""


ReadPoses = Callable[[int, int], Float[np.ndarray, "t a k c"]]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Poses at the working rate, read stretch by stretch."""

    length: int
    read: ReadPoses
    """``read(start, stop)`` returns poses in cm, NaN where missing."""
    slots: tuple[int, ...] = ()
    """The slots that may occur, the others never do; none: all may."""
    places: tuple[int, ...] = ()
    """The numbers of the individuals that are objects or zones."""
    animals: int = ANIMALS
    """Animals that poses have room for."""

    @classmethod
    def of_stored(cls, store: PoseStore, index: int) -> "Tracks":
        """Return one recording of a store, in its layout."""
        _, slots = store.slots_read(index)
        return cls(
            store.recordings[index].length,
            lambda start, stop: store.inputs_cm(index, start, stop),
            tuple(slots.tolist()),
            store.recordings[index].places,
            store.layout.animals,
        )

    def piece(self, start: int, stop: int) -> "Tracks":
        """Return some frames as tracks of their own."""
        return replace(
            self,
            length=stop - start,
            read=lambda first, last: self.read(start + first, start + last),
        )

    def in_view(self, view: View) -> "Tracks":
        """Return the same with the agent first, then the target and the others."""
        return Tracks(
            self.length,
            lambda start, stop: from_view(self.read(start, stop), view, self.places),
        )


def extract_features(model: Model, poses_BTAK2: Tensor) -> Tensor:
    """Return the features that a model has of poses."""
    return model.extract_features(poses_BTAK2)


@torch.inference_mode()
def frame_probabilities(
    model: Model | Ensemble,
    tracks: Tracks,
    possible: Bool[np.ndarray, " classes"],
    *,
    variants: int = 1,
    extract: FeatureExtractor = extract_features,
) -> Float[np.ndarray, "time classes"]:
    """Return the probability of each class at every frame of the working rate.

    Classes that are not possible get 0. The probabilities are the mean over so many
    `variants` of the poses (`mabe.inference.tta`). `extract` replaces the extraction of
    features. The model is used as it is: put it into `eval` mode and onto its device
    before.
    """
    config = model.config
    slots = slots_in_variants(tracks.slots, config.body) or range(config.layout.slots)
    prediction = _Prediction(
        tracks=tracks,
        context=Context(possible_N=torch.from_numpy(possible).to(model.device)),
        classes=len(possible),
        variants=variants,
        extract=extract,
    )
    return prediction.of(
        [
            (member.for_slots(slots), weight)
            for member, weight in model.members_with_weights
        ]
    )


@torch.inference_mode()
def view_probabilities(
    model: Model | Ensemble,
    tracks: Tracks,
    view: View,
    lab: str,
    *,
    spans: Spans | None = None,
    variants: int = 1,
    extract: FeatureExtractor = extract_features,
) -> Float[np.ndarray, "time actions"]:
    """Return each action's probability in a view, at the working rate.

    Actions without a direction get the mean over both directions. With `spans` only
    these frames are looked at, the others get 0. `variants` and
    `extract` are those of `frame_probabilities`.
    """
    task = model.task
    if spans is not None:
        shape = tracks.length, len(task.classes)
        probabilities = make_array(shape, np.dtype(np.float32))
        probabilities[:] = 0
        margin = round(PIECE_MARGIN_S * model.config.fps)
        for start, stop in widened(spans, margin, length=tracks.length):
            of_piece = view_probabilities(
                model,
                tracks.piece(start, stop),
                view,
                lab,
                variants=variants,
                extract=extract,
            )
            for first, last in spans[(spans[:, 0] >= start) & (spans[:, 1] <= stop)]:
                wanted = slice(first - start, last - start)
                probabilities[first:last] = of_piece[wanted]
        return probabilities

    def in_direction(direction: View) -> Float[np.ndarray, "time actions"]:
        prediction = _Prediction(
            tracks=tracks.in_view(direction),
            context=Context(lab=lab, is_self=direction.is_self),
            classes=len(task.classes),
            variants=variants,
            extract=extract,
        )
        return prediction.of(model.members_with_weights)

    probabilities = in_direction(view)
    undirected = [
        place for place, action in enumerate(task.classes) if action in task.undirected
    ]
    if undirected and not view.is_self and view.target not in tracks.places:
        reverse = in_direction(view.reverse)
        probabilities[:, undirected] = (
            probabilities[:, undirected] + reverse[:, undirected]
        ) / 2
    return probabilities


def predict_view(
    model: Model | Ensemble,
    tracks: Tracks,
    view: View,
    *,
    lab: str,
    possible: Bool[np.ndarray, " classes"],
    spans: Spans | None = None,
    variants: int = 1,
) -> Float[np.ndarray, "time classes"]:
    """Return the probability of each class in a view, whatever the task.

    With `spans` only these frames are looked at (of a pair).
    """
    if view == SCENE:
        return frame_probabilities(model, tracks, possible, variants=variants)
    return view_probabilities(model, tracks, view, lab, spans=spans, variants=variants)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prediction:
    """The prediction of one recording, or of one view of it."""

    tracks: Tracks
    context: Context
    classes: int
    variants: int
    extract: FeatureExtractor

    def of(self, members: Iterable[WeightedModel]) -> Float[np.ndarray, "time n"]:
        """Return the weighted sum over models; equal features are extracted once."""
        groups: dict[tuple[Hashable, ...], list[WeightedModel]] = defaultdict(list)
        for member, weight in members:
            groups[member.feature_key].append((member, weight))
        return functools.reduce(np.add, map(self._of_group, groups.values()))

    def _of_group(self, members: Sequence[WeightedModel]) -> np.ndarray:
        """Return the weighted sum over models that have the same features."""
        first, _ = members[0]
        length = self.tracks.length
        stitching = Stitching(length, self.classes, overlap=first.overlap(length))
        for stretch in first.stretches(length):
            features_TF = self._features(first, stretch)
            at_once = max(1, BATCH_FRAMES // max(1, stretch.window))
            for starts in batched(stretch.starts, at_once):
                windows = self._windows(members, features_TF, stretch, starts)
                for start, window in zip(starts, windows, strict=True):
                    stitching.add(start, window[: stretch.stop - start])
        return stitching.result()

    def _features(self, model: Model, stretch: Stretch) -> list[Tensor]:
        """Return the features of each variant of a stretch and its context."""
        poses = self.tracks.read(stretch.read_from, stretch.read_to)
        poses_1TAK2 = torch.from_numpy(poses[None]).to(model.feature_device)
        return [
            self.extract(model, variant.of(poses_1TAK2, model.config.body))[0]
            for variant in pose_variants(model.features.changed_by, self.variants)
        ]

    def _windows(
        self,
        members: Sequence[WeightedModel],
        features_TF: Sequence[Tensor],
        stretch: Stretch,
        starts: Sequence[int],
    ) -> Float[np.ndarray, "b t n"]:
        """Return the probabilities of some windows, the mean over variants."""
        first, _ = members[0]
        weighted = []
        for x_TF in features_TF:
            inputs_BUI = first.inputs(x_TF, stretch, starts)
            weighted += weighted_probabilities(members, inputs_BUI, self.context)
        return mean_over_variants(weighted, len(features_TF)).cpu().numpy()
