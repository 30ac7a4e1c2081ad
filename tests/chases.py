"""A data set whose direction anybody can see: one mouse chases, the other flees."""

import json

import numpy as np
from kaggle_files import write_index, write_labels, write_tracking
from stories import FPS, PX_PER_CM, TINY

TINY_PAIRS = {**TINY, "task": "pair", "sequence_length": 64, "lab_channels": 2}
"""A network that learns the story in seconds."""


def write_chases(folder, *, videos=6, seconds=24, lab="Lab", watched=None, exchange=()):
    """Write videos in which every second block of 4 s is a chase, by mice in turn.

    In a chase both run along x at 20 cm/s, the one behind 6 cm after the other: the
    labels say who chases. Else they stand 25 cm apart. In the videos of `exchange` the
    labels name the one who flees.
    """
    rows = []
    for number in range(1, videos + 1):
        video = str(number)
        rng = np.random.default_rng(number)
        length = int(seconds * FPS)
        block = np.arange(length) // int(4 * FPS)
        chasing = (block + number) % 2 == 1
        first_chases = (block // 2 + number) % 2 == 0
        run = np.where(chasing, (np.arange(length) % int(4 * FPS)) / FPS * 20, 0)
        points = []
        for mouse in (1, 2):
            is_behind = first_chases == (mouse == 1)
            x = run + np.where(chasing, np.where(is_behind, 0, 6), 25 * (mouse - 1))
            y = 20 + rng.normal(0, 0.1, length)
            for part, ahead in (("nose", 2), ("body_center", 0), ("tail_base", -3)):
                points += [
                    (f, mouse, part, (x[f] + ahead) * PX_PER_CM, y[f] * PX_PER_CM)
                    for f in range(length)
                    if rng.random() > 0.05
                ]
        write_tracking(folder, points, video=video, lab=lab)
        spans = np.flatnonzero(np.diff(chasing, prepend=False, append=False))
        bouts = []
        for start, stop in spans.reshape(-1, 2):
            chaser = 1 if first_chases[start] == (number not in exchange) else 2
            bouts.append((chaser, 3 - chaser, "chase", int(start), int(stop)))
        write_labels(folder, bouts, video=video, lab=lab)
        rows.append(
            {
                "lab_id": lab,
                "video_id": video,
                "frames_per_second": str(FPS),
                "pix_per_cm_approx": str(PX_PER_CM),
                "behaviors_labeled": json.dumps(
                    ["mouse1,mouse2,chase", "mouse2,mouse1,chase"]
                    if watched is None
                    else watched
                ),
            }
        )
    write_index(folder, *rows)
    return folder
