"""The model that a run imitates (`mabe distil`), and its probabilities of recordings.

A student learns labels where there are some, and elsewhere what its teacher predicts.
The probabilities say more than decisions: a frame that is half and half teaches both.

Source of the method: Hinton, Vinyals & Dean (2015), "Distilling the knowledge in a
neural network".
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int8
from tqdm import tqdm

from mabe.bouts import View
from mabe.config import RunConfig
from mabe.data.near_pairs import NearPairs
from mabe.data.store import PoseStore
from mabe.errors import DataError
from mabe.inference.frame_probabilities import Tracks, in_layout_of, predict_view
from mabe.pair_task import UNWATCHED
from mabe.recording import StoredRecording
from mabe.resampling import nearest_frames
from mabe.runtime.console import progress_bar
from mabe.runtime.devices import choose_device
from mabe.runtime.disk_arrays import make_array
from mabe.scene_task import Task
from mabe.training.reuse import Source, load_same_source

Shares = Float[np.ndarray, "time classes"]
"""The probability of each class, as float16."""


def load_teacher(config: RunConfig) -> Source:
    """Return the model that a run imitates.

    Raises `RunError` where it cannot be read, and `ConfigError` where it is not the
    one that the run began with.
    """
    assert config.teacher is not None
    return load_same_source(
        config.teacher, config.teacher_hash, use="this run imitates"
    )


def recordings_to_learn(config: RunConfig, store: PoseStore) -> list[int]:
    """Return the recordings in which the teacher can predict something.

    Raises `DataError` where there is none.
    """
    task = load_teacher(config).checkpoint.model.task
    usable = [
        index
        for index, recording in enumerate(store.recordings)
        if recording.length and task.choices(recording)
    ]
    if not usable:
        raise DataError(
            f"{config.data_dir}: the model predicts nothing in any of the "
            f"{len(store.recordings)} recordings: has each of them a track, and do the "
            "names of what was watched (`behaviors_labeled`) contain its actions?"
        )
    return usable


def teach(
    config: RunConfig, store: PoseStore, recordings: Sequence[int]
) -> Iterator[tuple[int, View, Shares]]:
    """Yield each view of some recordings with the teacher's probabilities.

    In frames with a label it is the label's 1 or 0, unless the settings ignore labels.
    A class that is impossible there, and frames that are not looked at, are
    `UNWATCHED` where each action is by itself; in a scene such a class has no share.
    """
    teacher = load_teacher(config).checkpoint.model
    model = teacher.to(choose_device(config.device))
    own_store = in_layout_of(model, store)
    near = NearPairs(own_store, model.config.nearness)
    bar: tqdm[int] = progress_bar(recordings, desc="Predicting", unit="recording")
    for index in bar:
        recording = own_store.recordings[index]
        tracks = Tracks.of_stored(own_store, index)
        for view, possible in model.task.choices(recording).items():
            spans = near.spans(index, view)
            found = predict_view(
                model,
                tracks,
                view,
                lab=recording.lab,
                possible=possible,
                spans=spans,
            )
            shares = make_array(found.shape, np.dtype(np.float16))
            shares[:] = found
            if not model.task.kind.has_background:
                shares[:, ~possible] = UNWATCHED
                if spans is not None:
                    shares[~_frames_of(spans, len(shares))] = UNWATCHED
            if recording.has_labels and not config.ignore_labels:
                states = _states(model.task, recording, view, config.fps)
                is_labelled = states != UNWATCHED
                shares[is_labelled] = states[is_labelled]
            yield index, view, shares


def _states(
    task: Task, recording: StoredRecording, view: View, rate_fps: float
) -> Int8[np.ndarray, "time classes"]:
    """Return 1 where a class is labelled, 0 where it is not, `UNWATCHED` elsewhere."""
    labels = task.annotations(recording).get(view)
    if labels is None:
        return np.full((recording.length, len(task.classes)), UNWATCHED, np.int8)
    own = nearest_frames(
        recording.length,
        from_fps=recording.fps,
        to_fps=rate_fps,
        from_length=recording.native_length,
    )
    return labels.frames(0, recording.native_length)[own]


def _frames_of(spans: np.ndarray, length: int) -> Bool[np.ndarray, " time"]:
    inside = np.zeros(length, bool)
    for start, stop in spans:
        inside[start:stop] = True
    return inside
