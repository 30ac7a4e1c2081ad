"""A session to review fights at, with a simple model."""

import numpy as np
from stories import write_fights

from mabe.bouts import SCENE
from mabe.data.sources import find_sources
from mabe.decoding.view_predictions import ViewPredictions
from mabe.io.readers.kaggle import read_index
from mabe.scene_task import TaskKind
from mabe.viz.review.corrections import Corrections
from mabe.viz.review.session import ModelOutputs, ReviewSession

RATE_FPS = 30.0
TOKEN = "secret"
PORT = 8765
OUTPUTS = ModelOutputs(
    kind=TaskKind.SCENE,
    classes=("background", "social", "aggressive"),
    actions_of=((), ("sniff",), ("attack",)),
    thresholds=(0.5, 0.5, 0.5),
    rate_fps=RATE_FPS,
)


def predict_views(store, index):
    """Predict aggression in frames 50 to 150; frames 300 to 400 are uncertain."""
    about = store.recordings[index]
    probabilities = np.tile(np.float32([0.9, 0.05, 0.05]), (about.native_length, 1))
    probabilities[50:150] = 0.1, 0.1, 0.8
    probabilities[300:400] = 0.4, 0.3, 0.3
    yield ViewPredictions(
        kind=OUTPUTS.kind,
        classes=OUTPUTS.classes,
        lab=about.lab,
        video=about.video,
        view=SCENE,
        track=about.tracking_hash,
        fps=about.fps,
        probabilities=probabilities,
        labels=np.full(probabilities.shape, -1, np.int8),
        chosen=probabilities.argmax(axis=1),
    )


def open_session(folder, out, *, predict_views=predict_views, write=True, **options):
    """Return a session with two recordings of 24 s, 600 frames, with fights in them."""
    if write:
        write_fights(folder, videos=2)
    infos = {info.name: info for info in read_index(folder)}
    return ReviewSession(
        outputs=OUTPUTS,
        sources=find_sources(folder, rate_fps=RATE_FPS),
        infos=infos,
        predict_views=predict_views,
        corrections=Corrections(out, folder, model="best"),
        **options,
    )
