"""Poses in a device's own memory: the same clips as from the store."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mabe.data.clips import NOBODY, Clips, read_clips
from mabe.data.poses_in_cm import MISSING, STEP_CM
from mabe.data.store import PoseStore
from mabe.recording import StoredRecording
from mabe.skeleton import KEYPOINTS
from mabe.training.gpu_poses import ResidentPoses, fits_on

BODY = len(KEYPOINTS)
SLOTS = ((0, 5, BODY + 1), (2, 3 * BODY + 4), (7,))
LENGTHS = (40, 9, 25)


def store_of(*lengths):
    """Recordings of different animals and keypoints, with gaps."""
    rng = np.random.default_rng(0)
    recordings, steps, offset = [], [], 0
    for number, (slots, length) in enumerate(zip(SLOTS, lengths, strict=True)):
        points = rng.integers(-9000, 9000, (length, len(slots), 2)).astype("<i2")
        points[rng.random((length, len(slots))) < 0.2] = MISSING
        recordings.append(
            StoredRecording(
                lab="Lab",
                video=str(number),
                fps=30.0,
                native_length=length,
                length=length,
                slots=slots,
                origin_cm=(0.0, 0.0),
                offset=offset,
                bouts=(),
                watched=(),
                has_labels=True,
                tracking_hash="",
                content_hash="",
                missing_share=0.2,
                notes=(),
            )
        )
        steps.append(points.reshape(-1))
        offset += points.size
    return PoseStore(
        root=Path("memory"),
        rate_fps=30.0,
        recordings=tuple(recordings),
        poses=np.concatenate(steps),
    )


STORE = store_of(*LENGTHS)


@st.composite
def clips(draw):
    count = draw(st.integers(1, 5))
    frames = draw(st.integers(2, 30))
    recordings = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    starts = [draw(st.integers(0, max(0, LENGTHS[r] - frames))) for r in recordings]
    seats = st.permutations([0, 1, 2, 3, NOBODY])
    orders = [draw(seats) for _ in recordings]
    return Clips(np.array(recordings), np.array(starts), frames, np.array(orders))


@given(clips(), st.integers(2, 30))
def test_a_device_reads_the_clips_that_the_store_reads(some, length):
    resident = ResidentPoses(STORE, torch.device("cpu"))

    np.testing.assert_allclose(
        resident.read(some, length).numpy(),
        read_clips(STORE, some, length),
        rtol=1e-5,
        atol=1e-4,
    )


def test_a_point_lies_where_the_store_has_it_and_nobody_sits_in_an_empty_seat():
    seats = np.array([[1, NOBODY]])
    clip = Clips(np.array([0]), np.array([3]), 4, seats)

    seen = read_clips(STORE, clip, 4)

    of_animal_2 = STORE.quantized(0)[3:7, 2]
    expected = np.where(of_animal_2 == MISSING, np.nan, of_animal_2 * STEP_CM)
    np.testing.assert_allclose(seen[0, :, 0, 1], expected, rtol=1e-6)
    assert np.isnan(np.delete(seen[0, :, 0], 1, axis=1)).all()
    assert np.isnan(seen[0, :, 1]).all()


def test_beyond_the_end_of_a_recording_nothing_is_seen():
    clip = Clips(np.array([1]), np.array([0]), 20, np.tile(np.arange(4), (1, 1)))

    for read in (ResidentPoses(STORE, torch.device("cpu")).read(clip, 20).numpy(),):
        assert np.isfinite(read[0, :9]).any()
        assert np.isnan(read[0, 9:]).all()


def test_a_processor_has_no_memory_of_its_own():
    assert not fits_on(torch.device("cpu"), STORE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_reads_the_clips_that_the_store_reads():
    clip = Clips(
        np.array([0, 1, 2]), np.array([2, 0, 5]), 15, np.tile(np.arange(4), (3, 1))
    )
    resident = ResidentPoses(STORE, torch.device("cuda"))

    np.testing.assert_allclose(
        resident.read(clip, 12).cpu().numpy(), read_clips(STORE, clip, 12), rtol=1e-5
    )
