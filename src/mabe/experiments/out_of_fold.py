"""What models say of recordings they never saw, kept in a file.

`out_of_fold.npz` lies in the directory of a cross-validation, where it covers every
recording once, and in those of its finished runs. It holds, for each view,
probabilities (16-bit, NaN where an answer is impossible) and labels, both at the
working rate; and who and what they are of as JSON. Reading it executes nothing.
"""

import io
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mabe.decoding.views import Evidence, OutOfFold, ViewAnswers
from mabe.errors import RunError
from mabe.inference.stitching import Tracks, frame_probabilities, view_probabilities
from mabe.models.ensemble import Ensemble
from mabe.models.model import Model
from mabe.runtime.files import write_bytes
from mabe.scene_task import TaskKind
from mabe.training.objectives import Objective, PairObjective, SceneObjective

FILE_NAME = "out_of_fold.npz"


def answer_held_out(
    model: Model | Ensemble, objective: Objective, *, variants: int = 1
) -> OutOfFold:
    """Ask a model of the recordings that its objective holds out."""
    if isinstance(objective, PairObjective):
        return _answer_pairs(model, objective, variants)
    assert isinstance(objective, SceneObjective)
    return _answer_scenes(model, objective, variants)


def _answer_scenes(
    model: Model | Ensemble, objective: SceneObjective, variants: int
) -> OutOfFold:
    store = objective.data.store
    classes = objective.task.classes
    views = []
    for index in objective.data.held_out:
        about = store.recordings[index]
        possible = objective.task.choices(about.watched)
        tracks = Tracks.of_stored(store, index)
        found = frame_probabilities(model, tracks, possible, variants=variants)
        evidence = Evidence.of_scene(
            lab=about.lab,
            group=about.tracking_hash,
            fps=store.rate_fps,
            probabilities=np.where(possible, found, np.nan),
            labels=objective.data.labelled.labels[index],
        )
        views.append(
            ViewAnswers(
                lab=about.lab,
                video=about.video,
                agent=0,
                target=0,
                track=about.tracking_hash,
                fps=store.rate_fps,
                probabilities=evidence.probabilities.astype(np.float16),
                labels=evidence.labels,
            )
        )
    return OutOfFold(objective.task.kind, classes, tuple(views))


def _answer_pairs(
    model: Model | Ensemble, objective: PairObjective, variants: int
) -> OutOfFold:
    store = objective.data.store
    views = []
    for labels in objective.held_out:
        about = store.recordings[labels.recording]
        tracks = Tracks.of_stored(store, labels.recording)
        found = view_probabilities(
            model, tracks, labels.view, about.lab, variants=variants
        )
        possible = objective.possible(labels)
        views.append(
            ViewAnswers(
                lab=about.lab,
                video=about.video,
                agent=labels.view.agent,
                target=labels.view.target,
                track=about.tracking_hash,
                fps=store.rate_fps,
                probabilities=np.where(possible, found, np.nan).astype(np.float16),
                labels=labels.frames(0, labels.length),
            )
        )
    return OutOfFold(objective.task.kind, objective.task.actions, tuple(views))


def join(parts: Sequence[OutOfFold]) -> OutOfFold:
    """Return the answers of several folds as one.

    Raises `RunError` where they answer different questions.
    """
    check_same_task(parts)
    views = tuple(view for part in parts for view in part.views)
    return OutOfFold(parts[0].kind, parts[0].answers, views)


def check_same_task(parts: Sequence[OutOfFold]) -> None:
    """Raise `RunError` where answers are to different questions."""
    first = parts[0]
    for part in parts:
        if (part.kind, part.answers) != (first.kind, first.answers):
            raise RunError(
                f"{FILE_NAME}: answers to different questions cannot be put together: "
                f"{first.kind} {list(first.answers)} and {part.kind} "
                f"{list(part.answers)}; train with the same `classes` or `actions`"
            )


def blend(parts: Sequence[OutOfFold], weights: Sequence[float]) -> OutOfFold:
    """Return the weighted mean of several models' answers of the same views.

    Raises `RunError` where they are not of the same views, or to different questions.
    """
    check_same_task(parts)
    by_key: dict[Any, list[ViewAnswers]] = defaultdict(list)
    for part in parts:
        for view in part.views:
            by_key[view.key].append(view)
    if any(len(views) != len(parts) for views in by_key.values()):
        raise RunError(
            "blending: the models were not asked of the same recordings; "
            "cross-validate them with the same folds and data"
        )
    blended = []
    for views in by_key.values():
        mean = np.average(
            [view.probabilities.astype(np.float32) for view in views],
            axis=0,
            weights=weights,
        )
        blended.append(replace(views[0], probabilities=mean.astype(np.float16)))
    return OutOfFold(parts[0].kind, parts[0].answers, tuple(blended))


def write_out_of_fold(path: Path, answers: OutOfFold) -> None:
    """Write answers as one file."""
    about = {
        "kind": answers.kind,
        "answers": list(answers.answers),
        "views": [
            {
                "lab": view.lab,
                "video": view.video,
                "agent": view.agent,
                "target": view.target,
                "track": view.track,
                "fps": view.fps,
            }
            for view in answers.views
        ],
    }
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for place, view in enumerate(answers.views):
        arrays[f"p{place}"] = view.probabilities
        arrays[f"l{place}"] = view.labels.astype(np.int8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getbuffer())


def read_out_of_fold(path: Path) -> OutOfFold:
    """Return the answers of a file.

    Raises `RunError` where there is none or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            views = tuple(
                ViewAnswers(
                    **facts,
                    probabilities=file[f"p{place}"],
                    labels=file[f"l{place}"],
                )
                for place, facts in enumerate(about["views"])
            )
            return OutOfFold(TaskKind(about["kind"]), tuple(about["answers"]), views)
    except FileNotFoundError:
        raise RunError(
            f"{path}: no out-of-fold answers here; `mabe crossval` makes them"
        ) from None
    except Exception as error:  # zip files raise many kinds where they are damaged
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"{path}: cannot be read: {reason}; delete it") from None
