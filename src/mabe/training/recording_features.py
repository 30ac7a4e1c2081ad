"""Features of whole recordings, computed once instead of in each window of each step.

Dimension key: B clip, T time, F feature.
Where training changes no poses, the features of a frame are the same in every step. So
they are computed once, as in prediction: in a window alone, gaps at its ends cannot be
bridged, times since a contact begin anew, and medians are of the window.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mabe.config import Augmentation
from mabe.data.clips import Clips
from mabe.data.store import PoseStore
from mabe.features.base import Features
from mabe.inference.frame_probabilities import Tracks
from mabe.models.model import NetworkModel
from mabe.runtime.disk_arrays import make_array


def are_fixed(features: Features, how: Augmentation) -> bool:
    """Return whether augmentation leaves the features of every frame as they are."""
    of_symmetry = {
        "mirror": how.mirror,
        "order": how.reorder_animals,
        "turn": how.turn,
    }
    return not (
        how.shift_cm
        or how.scale
        or how.noise_cm
        or how.keypoint_dropout
        or how.animal_dropout
        or how.time_stretch
        or any(of_symmetry[symmetry] for symmetry in features.changed_by)
    )


class RecordingFeatures:
    """The features that a network has of some recordings of a store."""

    def __init__(
        self, model: NetworkModel, store: PoseStore, recordings: Sequence[int]
    ) -> None:
        lengths = [store.recordings[index].length for index in recordings]
        ends = np.cumsum([0, *lengths]).tolist()
        self._spans = {
            index: (start, stop)
            for index, start, stop in zip(recordings, ends, ends[1:], strict=False)
        }
        self._values = make_array(
            (ends[-1], len(model.features.names)), np.dtype(np.float32)
        )
        for index, (start, stop) in self._spans.items():
            compute_features(
                model, Tracks.of_stored(store, index), self._values[start:stop]
            )

    def read(self, clips: Clips, length: int) -> Float[Tensor, "b t f"]:
        """Return the features of clips; NaN after the end of a recording.

        Raises `ValueError` for clips that are to be resampled in time.
        """
        if clips.frames != length:
            raise ValueError(
                f"features of clips of {clips.frames} frames cannot be resampled to "
                f"{length}: they were computed at the working rate"
            )
        shape = len(clips.starts), length, self._values.shape[1]
        features = np.full(shape, np.nan, np.float32)
        for into, recording, start in zip(
            features, clips.recordings.tolist(), clips.starts.tolist(), strict=True
        ):
            first, end = self._spans[recording]
            known = self._values[first + start : min(first + start + length, end)]
            into[: len(known)] = known
        return torch.from_numpy(features)


@torch.inference_mode()
def compute_features(
    model: NetworkModel, tracks: Tracks, into: Float[np.ndarray, "t f"]
) -> None:
    """Write the features of a recording, a stretch at a time, as prediction does."""
    for stretch in model.stretches(tracks.length):
        poses = tracks.read(stretch.read_from, stretch.read_to)
        poses_1TAK2 = torch.from_numpy(poses[None]).to(model.feature_device)
        [x_TF] = model.extract_features(poses_1TAK2).cpu().numpy()
        before = stretch.start - stretch.read_from
        into[stretch.start : stretch.stop] = x_TF[
            before : before + stretch.stop - stretch.start
        ]
