"""The tracks of a recording, as the page of any program gets them."""

from typing import Any

import numpy as np

from mabe.data.poses_in_cm import MISSING, STEP_CM
from mabe.data.store import PoseStore
from mabe.viz.colours import animal_colours
from mabe.viz.review.skeleton_drawing import BodyDrawing, bounds_cm, zone_outlines

MOST_POSE_FRAMES = 4096
"""Frames that are sent at once."""


def tracks_json(store: PoseStore, index: int) -> dict[str, Any]:
    """Return frames, points, bones, bounds and zones of a recording."""
    recording, body = store.recordings[index], BodyDrawing.of(store, index)
    return {
        "name": recording.name,
        "fps": recording.fps,
        "frames": recording.native_length,
        "poseFps": store.rate_fps,
        "poseFrames": recording.length,
        "stepCm": STEP_CM,
        "missing": MISSING,
        "mostPoseFrames": MOST_POSE_FRAMES,
        "points": [
            {"animal": point.animal, "name": point.keypoint}
            for point in recording.points
        ],
        "animals": list(recording.animal_names),
        "bones": body.bones,
        "fronts": body.fronts,
        "bounds": bounds_cm(store, index),
        "zones": zone_outlines(recording),
        "animalColours": [each.to_json() for each in animal_colours()],
        "originCm": list(recording.origin_cm),
    }


def pose_window(store: PoseStore, index: int, start: int, stop: int) -> bytes:
    """Return poses in quantization steps, little-endian, [frame, slot, xy].

    At most `MOST_POSE_FRAMES` frames.
    """
    length = store.recordings[index].length
    start = min(max(start, 0), length)
    stop = min(max(stop, start), length, start + MOST_POSE_FRAMES)
    return np.ascontiguousarray(store.quantized(index)[start:stop], "<i2").tobytes()
