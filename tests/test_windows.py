from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mabe.bouts import Bout, Watched
from mabe.data.clips import neighbours, stretch_time
from mabe.data.poses_file import PosesFile
from mabe.data.scene_windows import LabelledStore, WindowSampler, label_store
from mabe.data.store import PoseStore, from_recording
from mabe.recording import Recording, StoredRecording, VideoInfo
from mabe.scene_task import NOT_COUNTED, SceneTask

RATE = 10.0
TASK = SceneTask.from_groups(
    {"background": (), "social": ("sniff",)}, ignore=["handling"]
)


ONE = StoredRecording(
    lab="lab",
    video="video",
    fps=RATE,
    native_length=1,
    length=1,
    slots=(0,),
    origin_cm=(0.0, 0.0),
    offset=0,
    bouts=(),
    watched=(),
    has_labels=True,
    tracking_hash="",
    content_hash="",
    missing_share=0.0,
    notes=(),
)


class Clock(PoseStore):
    """A store whose only keypoint shows the frame (x) and the recording (y)."""

    def __init__(self, *lengths: int) -> None:
        super().__init__(
            root=Path(),
            rate_fps=RATE,
            recordings=tuple(replace(ONE, length=length) for length in lengths),
            poses=PosesFile(Path(), {}),
        )

    def points_cm(self, index: int, start: int, stop: int) -> np.ndarray:
        shown = [np.arange(start, stop), np.full(stop - start, index)]
        return np.stack(shown, axis=1)[:, None].astype(np.float32)


def sampler(*labels, length=5):
    labels = tuple(np.array(row, np.int8) for row in labels)
    possible = tuple(np.array([True, True]) for _ in labels)
    data = LabelledStore(Clock(*map(len, labels)), labels, possible)
    return WindowSampler(data, list(range(len(labels))), length=length)


def test_windows_show_the_frames_their_labels_belong_to():
    labels = [[0] * 20, [1] * 30]
    batch = sampler(*labels).draw(np.random.default_rng(0), 64, 1.0)
    frame, recording = batch.poses[..., 0, 0, 0], batch.poses[..., 0, 0, 1]
    assert batch.poses.shape == (64, 5, 4, 18, 2)
    assert np.array_equal(batch.labels, recording)
    assert (np.diff(frame, axis=1) == 1).all()


def test_every_window_has_a_frame_that_counts():
    labels = np.full(1000, NOT_COUNTED)
    labels[500:503] = 1
    batch = sampler(labels).draw(np.random.default_rng(0), 200, 1.0)
    assert (batch.labels != NOT_COUNTED).any(axis=1).all()


def test_frames_that_count_are_drawn_equally_often_wherever_they_lie():
    labels = [[0] * 200, [0] * 800]
    batch = sampler(*labels, length=2).draw(np.random.default_rng(0), 1000, 1.0)
    assert (batch.poses[:, 0, 0, 0, 1] == 0).mean() == pytest.approx(0.2, abs=0.01)


def test_a_recording_shorter_than_the_window_is_followed_by_nothing():
    batch = sampler([1, 1, 1], length=6).draw(np.random.default_rng(0), 4, 1.0)
    assert batch.labels.tolist() == [[1, 1, 1, -1, -1, -1]] * 4
    assert np.isfinite(batch.poses[:, :3, 0, 0]).all()
    assert np.isnan(batch.poses[:, 3:]).all()


@pytest.mark.parametrize("stretch", [0.8, 1.3])
def test_stretched_windows_keep_their_length_and_their_labels(stretch):
    labels = np.arange(2000) // 100 % 2
    batch = sampler(labels, length=50).draw(np.random.default_rng(0), 32, stretch)
    frame = batch.poses[..., 0, 0, 0]
    assert frame.shape == (32, 50)
    shown = round(50 * stretch)
    np.testing.assert_allclose(frame[:, -1] - frame[:, 0], shown - 1)
    wrong = batch.labels != labels[np.rint(frame).astype(int)]
    assert wrong.mean() < 0.02  # a frame that falls between two, at an edge


def test_stretching_by_one_changes_nothing():
    poses = np.random.default_rng(0).random((7, 4, 18, 2), np.float32)
    np.testing.assert_allclose(stretch_time(poses, *neighbours(len(poses), 7)), poses)


@given(st.integers(0, 1000))
def test_the_same_seed_draws_the_same_windows(seed):
    one, other = (
        sampler([0] * 50, [1] * 70).draw(np.random.default_rng(seed), 8, 1.0)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.poses, other.poses)


def recording_at(fps, *, bouts, watched, frames):
    info = VideoInfo(
        lab="Lab",
        video="1",
        fps=fps,
        pixels_per_cm=10.0,
        watched=watched,
        has_labels=bool(watched),
        tracking_path=Path("nowhere.parquet"),
        annotation_path=None,
    )
    xy = np.zeros((frames, 1, 2), np.float32)
    return Recording(info=info, slots=np.array([0]), xy_px=xy, bouts=bouts)


def labels_of(recording):
    store = stored(recording)
    return label_store(store, TASK).labels[0].tolist()


def stored(recording) -> PoseStore:
    return from_recording(recording, RATE)


def test_labels_at_the_working_rate_are_those_of_the_nearest_frame():
    watched = (Watched(1, 2, "sniff"),)
    # 20 fps to 10: frames 0, 2, 4 … are shown; the bout covers 4 to 7.
    recording = recording_at(
        20.0, bouts=(Bout(4, 8, "sniff", 1, 2),), watched=watched, frames=12
    )
    assert labels_of(recording) == [0, 0, 1, 1, 0, 0]


def test_a_video_nobody_annotated_has_no_label_at_all():
    recording = recording_at(10.0, bouts=(), watched=(), frames=4)
    assert labels_of(recording) == [NOT_COUNTED] * 4
    assert isinstance(stored(recording).recordings[0], StoredRecording)


def test_processes_that_share_a_batch_draw_the_windows_of_one():
    source = sampler([0] * 50, [1] * 70)
    whole, *parts = [
        source.draw(np.random.default_rng(3), 8, 1.1, own)
        for own in (slice(None), slice(0, 4), slice(4, 8))
    ]
    for name in ("poses", "labels", "possible"):
        shared = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(shared, getattr(whole, name), equal_nan=name == "poses")
