"""Lanes of recordings: from a model that looks at them, or from kept answers."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from mabe.bouts import NO_ACTION
from mabe.data.store import PoseStore
from mabe.decoding.rules import DecisionRules, decide
from mabe.decoding.views import SCENE, Evidence, Lane, OutOfFold
from mabe.inference.predict import Predictor
from mabe.pair_task import PairTask, View
from mabe.recording import StoredRecording
from mabe.scene_task import SceneTask


def look(predictor: Predictor, store: PoseStore, index: int) -> Iterator[Lane]:
    """Yield a lane for each view of a recording, at the recording's own frames."""
    if predictor.actions is None:
        yield _look_at_scene(predictor, store, index)
    else:
        yield from _look_at_pairs(predictor, store, index)


def of_answers(answers: OutOfFold, rules: DecisionRules) -> Iterator[Lane]:
    """Yield a lane for each view that was answered, at the working rate."""
    for view in answers.views:
        probabilities = view.probabilities.astype(np.float32)
        yield Lane(
            lab=view.lab,
            video=view.video,
            agent=view.agent,
            target=view.target,
            track=view.track,
            fps=view.fps,
            probabilities=probabilities,
            labels=view.labels.astype(np.int8),
            chosen=decide(probabilities, fps=view.fps, lab=view.lab, rules=rules),
        )


def _look_at_scene(predictor: Predictor, store: PoseStore, index: int) -> Lane:
    task = predictor.checkpoint.model.task
    assert isinstance(task, SceneTask)
    prediction = predictor.predict_scene(store, index)
    about = prediction.about
    probabilities = _only(task.choices(about.watched), prediction.probabilities)
    labels = task.frame_labels(about.bouts, about.annotated, about.native_length)
    evidence = Evidence.of_scene(
        lab=about.lab,
        group=about.tracking_hash,
        fps=about.fps,
        probabilities=probabilities,
        labels=labels,
    )
    return Lane(
        lab=about.lab,
        video=about.video,
        agent=SCENE,
        target=SCENE,
        track=about.tracking_hash,
        fps=about.fps,
        probabilities=probabilities,
        labels=evidence.labels.astype(np.int8),
        chosen=prediction.chosen,
    )


def _look_at_pairs(
    predictor: Predictor, store: PoseStore, index: int
) -> Iterator[Lane]:
    task = predictor.checkpoint.model.task
    assert isinstance(task, PairTask)
    about = store.recordings[index]
    labels = label_own_frames(task, about)
    nobody_looked = np.full((about.native_length, len(task.actions)), -1, np.int8)
    for prediction in predictor.predict_views(store, index):
        yield _pair_lane(
            about,
            prediction.view,
            _only(prediction.possible, prediction.probabilities),
            labels.pop(prediction.view, nobody_looked),
            prediction.chosen,
        )
    # Of a view in which nothing can be found, what people saw is missed all the same.
    nothing_said = np.full(nobody_looked.shape, np.nan, np.float32)
    nothing_found = np.full(about.native_length, NO_ACTION)
    for view, of_view in labels.items():
        yield _pair_lane(about, view, nothing_said, of_view, nothing_found)


def _pair_lane(
    about: StoredRecording,
    view: View,
    probabilities: Float[np.ndarray, "frame actions"],
    labels: Int8[np.ndarray, "frame actions"],
    chosen: Int[np.ndarray, " frame"],
) -> Lane:
    return Lane(
        lab=about.lab,
        video=about.video,
        agent=view.agent,
        target=view.target,
        track=about.tracking_hash,
        fps=about.fps,
        probabilities=probabilities,
        labels=labels,
        chosen=chosen,
    )


def label_own_frames(
    task: PairTask, about: StoredRecording
) -> dict[View, Int8[np.ndarray, "frame actions"]]:
    """Return what people said of each view, at the recording's own frames."""
    at_own_rate = replace(about, length=about.native_length)
    views = task.view_labels(at_own_rate, 0, about.fps)
    return {
        labels.view: labels.as_annotated().frames(0, labels.length)
        for labels in views
        if labels.watched_as_annotated.any()
    }


def _only(
    possible: Bool[np.ndarray, " answers"],
    probabilities: Float[np.ndarray, "frame answers"],
) -> Float[np.ndarray, "frame answers"]:
    """Return NaN for what is not possible."""
    return np.where(possible, probabilities, np.float32(np.nan)).astype(np.float32)
