"""Predictions of recordings by models that did not learn from them, as one file.

`out_of_fold.npz` lies in the directory of a cross-validation, where it covers every
recording once, and in those of its finished runs. It holds, for each view,
probabilities (16-bit, NaN where a class is impossible) and labels, both at the
working rate, and as JSON the recording, view and classes. Reading executes no code.
"""

import io
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mabe.bouts import View
from mabe.data.near_pairs import NearPairs
from mabe.decoding.view_predictions import OutOfFold, ViewPredictions
from mabe.errors import RunError
from mabe.inference.frame_probabilities import Tracks, in_layout_of, predict_view
from mabe.models.ensemble import Ensemble
from mabe.models.model import Model
from mabe.runtime.files import write_bytes
from mabe.scene_task import TaskKind
from mabe.training.objectives import Objective

FILE_NAME = "out_of_fold.npz"


def predict_held_out(
    model: Model | Ensemble, objective: Objective, *, variants: int = 1
) -> OutOfFold:
    """Return a model's predictions of the recordings that an objective holds out.

    The model may know further classes, which are then impossible.
    """
    task = objective.task
    known_classes = model.task.classes
    places = [known_classes.index(name) for name in task.classes]
    store = in_layout_of(model, objective.data.store)
    near = NearPairs(store, model.config.nearness)
    views = []
    for each in objective.held_out_views():
        recording = store.recordings[each.recording]
        possible = np.zeros(len(known_classes), bool)
        possible[places] = each.possible
        probabilities = predict_view(
            model,
            Tracks.of_stored(store, each.recording),
            each.view,
            lab=recording.lab,
            possible=possible,
            spans=near.spans(each.recording, each.view),
            variants=variants,
        )[:, places]
        known = np.where(each.possible, probabilities, np.nan)
        views.append(
            ViewPredictions(
                kind=task.kind,
                classes=task.classes,
                lab=recording.lab,
                video=recording.video,
                view=each.view,
                track=recording.tracking_hash,
                fps=store.rate_fps,
                probabilities=known.astype(np.float16),
                labels=each.labels,
                animals=recording.animal_names,
            )
        )
    return OutOfFold(task.kind, task.classes, tuple(views))


def join(parts: Sequence[OutOfFold]) -> OutOfFold:
    """Return the predictions of several folds as one.

    Raises `RunError` where they are of different classes.
    """
    check_same_task(parts)
    views = tuple(view for part in parts for view in part.views)
    return OutOfFold(parts[0].kind, parts[0].classes, views)


def check_same_task(parts: Sequence[OutOfFold]) -> None:
    """Raise `RunError` where predictions are of different classes."""
    first = parts[0]
    for part in parts:
        if (part.kind, part.classes) != (first.kind, first.classes):
            raise RunError(
                f"{FILE_NAME}: predictions of different classes cannot be combined: "
                f"{first.kind} {list(first.classes)} and {part.kind} "
                f"{list(part.classes)}; train with the same `classes` or `actions`"
            )


def blend(parts: Sequence[OutOfFold], weights: Sequence[float]) -> OutOfFold:
    """Return the weighted mean of several models' predictions of the same views.

    Raises `RunError` where they are of different views or classes.
    """
    check_same_task(parts)
    by_key: dict[Any, list[ViewPredictions]] = defaultdict(list)
    for part in parts:
        for view in part.views:
            by_key[view.key].append(view)
    if any(len(views) != len(parts) for views in by_key.values()):
        raise RunError(
            "blending: the models did not predict the same recordings; "
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
    return OutOfFold(parts[0].kind, parts[0].classes, tuple(blended))


def write_out_of_fold(path: Path, predictions: OutOfFold) -> None:
    """Write predictions as one file."""
    header = {
        "kind": predictions.kind,
        "answers": list(predictions.classes),
        "views": [
            {
                "lab": view.lab,
                "video": view.video,
                "agent": view.view.agent,
                "target": view.view.target,
                "track": view.track,
                "fps": view.fps,
                "animals": view.animals,
            }
            for view in predictions.views
        ],
    }
    arrays = {"about": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for place, view in enumerate(predictions.views):
        arrays[f"p{place}"] = view.probabilities
        arrays[f"l{place}"] = view.labels.astype(np.int8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getbuffer())


def read_out_of_fold(path: Path) -> OutOfFold:
    """Return the predictions of a file.

    Raises `RunError` where there is none or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["about"].tobytes())
            kind, classes = TaskKind(header["kind"]), tuple(header["answers"])
            views = tuple(
                ViewPredictions(
                    kind=kind,
                    classes=classes,
                    lab=each["lab"],
                    video=each["video"],
                    view=View(each["agent"], each["target"]),
                    track=each["track"],
                    fps=each["fps"],
                    probabilities=file[f"p{place}"],
                    labels=file[f"l{place}"],
                    # Files of earlier versions name no animals.
                    animals=tuple(each.get("animals", ())),
                )
                for place, each in enumerate(header["views"])
            )
            return OutOfFold(kind, classes, views)
    except FileNotFoundError:
        raise RunError(
            f"{path}: no out-of-fold predictions here; `mabe crossval` makes them"
        ) from None
    except Exception as error:  # zip files raise many kinds where they are damaged
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunError(f"{path}: cannot be read: {reason}; delete it") from None
