import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mabe.checkpoint import Provenance, load_checkpoint, save_checkpoint
from mabe.config import RunConfig
from mabe.errors import RunError
from mabe.inference import (
    Tracks,
    blend_weights,
    frame_probabilities,
    stitch,
    window_starts,
)
from mabe.recogniser import SceneRecogniser

ALL = np.array([True] * 4)
PROVENANCE = Provenance(
    epoch=3, step=30, trained_on=("a",), validated_on=("b",), validation={}
)


@pytest.fixture
def recogniser():
    torch.manual_seed(0)
    config = RunConfig(
        conv_channels=(8, 8), lstm_hidden=8, lstm_layers=1, sequence_length=40
    )
    return SceneRecogniser(config, config.scene_task).eval()


def tracks(frames, seed=0):
    poses = np.random.default_rng(seed).normal(0, 10, (frames, 4, 18, 2))
    poses = poses.astype(np.float32)
    poses[:, 2:] = math.nan
    return Tracks(frames, lambda start, stop: poses[start:stop])


@given(st.integers(1, 500), st.integers(1, 100))
def test_windows_cover_every_frame_and_overlap_by_half(length, window):
    starts = window_starts(length, min(window, length))
    seen = np.zeros(length, int)
    for start in starts:
        seen[start : start + window] += 1
    assert (seen >= 1).all()
    assert starts == sorted(set(starts))
    if length >= 2 * window:
        assert max(np.diff(starts)) <= max(1, window // 2)
    assert all(0 <= start <= max(0, length - window) for start in starts)


def test_weights_fall_to_both_ends_and_never_reach_zero():
    assert blend_weights(5).tolist() == [1, 2, 3, 2, 1]
    assert blend_weights(4).tolist() == [1, 2, 2, 1]


@given(st.integers(1, 120), st.integers(1, 50))
def test_what_does_not_depend_on_the_window_is_stitched_without_a_seam(length, window):
    window = min(window, length)
    truth = np.random.default_rng(0).random((length, 3)).astype(np.float32)
    pieces = ((s, truth[s : s + window]) for s in window_starts(length, window))
    np.testing.assert_allclose(stitch(pieces, length, 3), truth, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 3, 39, 40, 41, 200])
def test_probabilities_of_any_length_sum_to_one(recogniser, frames):
    probabilities = frame_probabilities(recogniser, tracks(frames), ALL)
    assert probabilities.shape == (frames, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_impossible_classes_get_nothing(recogniser):
    possible = np.array([True, False, True, False])
    probabilities = frame_probabilities(recogniser, tracks(60), possible)
    assert (probabilities[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_recording_in_which_nobody_is_seen_still_gets_probabilities(recogniser):
    nobody = Tracks(
        60, lambda start, stop: np.full((stop - start, 4, 18, 2), np.nan, np.float32)
    )
    assert np.isfinite(frame_probabilities(recogniser, nobody, ALL)).all()


def test_a_checkpoint_gives_the_same_answers_and_knows_what_it_saw(
    recogniser, tmp_path
):
    save_checkpoint(tmp_path / "best.safetensors", recogniser, PROVENANCE)
    for run in (tmp_path, tmp_path / "best.safetensors"):
        loaded = load_checkpoint(run)
        assert loaded.members[0].provenance == PROVENANCE
        assert loaded.recogniser.config == recogniser.config
        np.testing.assert_array_equal(
            frame_probabilities(loaded.recogniser, tracks(60), ALL),
            frame_probabilities(recogniser, tracks(60), ALL),
        )


def test_the_same_recogniser_is_saved_as_the_same_bytes(recogniser, tmp_path):
    for name in ("one", "other"):
        save_checkpoint(tmp_path / f"{name}.safetensors", recogniser, PROVENANCE)
    one, other = (tmp_path / f"{n}.safetensors" for n in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_a_folder_without_a_recogniser_says_what_it_holds(tmp_path):
    with pytest.raises(RunError, match="no recogniser here"):
        load_checkpoint(tmp_path)
    (tmp_path / "epoch_005.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"epoch_005\.safetensors"):
        load_checkpoint(tmp_path)


def test_a_damaged_checkpoint_is_one_line(recogniser, tmp_path):
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, recogniser, PROVENANCE)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match="not a readable checkpoint"):
        load_checkpoint(path)
    path.write_bytes(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(RunError, match="not a readable checkpoint"):
        load_checkpoint(Path(path))
