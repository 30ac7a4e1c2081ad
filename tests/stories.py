"""A data set whose answer anybody can see: two mice that fight or mind their own."""

import json
import os

import numpy as np
from kaggle_files import write_index, write_labels, write_tracking

FPS = 25.0
PX_PER_CM = 10.0
WATCHED = json.dumps(["mouse1,mouse2,attack", "mouse1,mouse2,sniff"])
TINY = {
    "conv_channels": [16, 16, 16],
    "lstm_hidden": 16,
    "lstm_layers": 1,
    "sequence_length": 64,
    "batch_size": 8,
    "learning_rate": 5e-3,
    "num_workers": 1,
    "warmup_epochs": 0,
    "ema_decay": 0.9,
    "device": os.environ.get("MABE_TEST_DEVICE", "cpu"),
    "seed": 1,
}
"""A network that learns the story in seconds; MABE_TEST_DEVICE=cuda tries a GPU."""
TINY_TREES = {
    "model_type": "trees",
    "feature_set": "social",
    "fps": 10.0,
    "tree_rounds": 15,
    "tree_min_rows": 5,
    "tree_feature_share": 0.5,
    "tree_learning_rate": 0.2,
}
"""The same of trees."""
GRU = {"model_type": "conv_gru", "feature_set": "social", "fps": 10.0, "gru_width": 16}
"""A small network with the features of the automatic recipe."""
STILL = {
    "augment_shift_cm": 0.0,
    "augment_noise_cm": 0.0,
    "augment_scale": 0.0,
    "augment_time_stretch": 0.0,
    "augment_keypoint_dropout": 0.0,
    "augment_animal_dropout": 0.0,
}
"""Poses as they are: features of whole recordings are computed once."""


def write_fights(folder, *, videos=6, seconds=24, labelled=True):
    """Write videos in which every second block of 4 s is a fight.

    In a fight the mice are 2 cm apart and shake; else 25 cm apart and still.
    """
    rows = []
    for number in range(1, videos + 1):
        video = str(number)
        rng = np.random.default_rng(number)
        length = int(seconds * FPS)
        fighting = (np.arange(length) // int(4 * FPS) + number) % 2 == 1
        points = []
        for mouse, side in ((1, -1), (2, 1)):
            x = side * np.where(fighting, 1.0, 12.5) + 20
            y = rng.normal(20, np.where(fighting, 1.0, 0.01))
            for part, ahead in (("nose", 2), ("body_center", 0), ("tail_base", -3)):
                points += [
                    (f, mouse, part, (x[f] + ahead) * PX_PER_CM, y[f] * PX_PER_CM)
                    for f in range(length)
                    if rng.random() > 0.05
                ]
        write_tracking(folder, points, video=video)
        edges = np.flatnonzero(np.diff(fighting, prepend=False, append=False))
        bouts = [
            (1, 2, "attack", int(start), int(stop))
            for start, stop in edges.reshape(-1, 2)
        ]
        if labelled:
            write_labels(folder, bouts, video=video)
        rows.append(
            {
                "video_id": video,
                "frames_per_second": str(FPS),
                "pix_per_cm_approx": str(PX_PER_CM),
                "behaviors_labeled": WATCHED if labelled else "[]",
            }
        )
    write_index(folder, *rows)
    return folder
