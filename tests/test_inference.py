import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mabe.config import RunConfig
from mabe.errors import RunError
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.inference.stitching import Stitching, blend_weights
from mabe.models.checkpoint import Provenance, load_checkpoint, save_checkpoint
from mabe.models.model import SceneModel
from mabe.models.prediction_windows import window_starts, window_stretches

ALL = np.array([True] * 4)
PROVENANCE = Provenance(
    epoch=3, step=30, trained_on=("a",), validated_on=("b",), validation={}
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = RunConfig(
        conv_channels=(8, 8), lstm_hidden=8, lstm_layers=1, sequence_length=40
    )
    return SceneModel(config.model, config.scene_task).eval()


def tracks(frames, seed=0):
    poses = np.random.default_rng(seed).normal(0, 10, (frames, 4, 18, 2))
    poses = poses.astype(np.float32)
    poses[:, 2:] = math.nan
    return tracks_of(poses)


def tracks_of(poses):
    return Tracks(len(poses), lambda start, stop: poses[start:stop])


LENGTHS = st.integers(1, 500)
WINDOWS = st.integers(1, 100)
SHARES = st.sampled_from([0.0, 0.125, 0.25, 0.5])


@given(LENGTHS, WINDOWS, SHARES)
def test_windows_cover_every_frame_and_overlap_by_as_much_as_requested(
    length, window, share
):
    window = min(window, length)
    overlap = int(share * window)

    starts = window_starts(length, window, overlap)

    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert starts[-1] + window == length
    hops = np.diff(starts)
    assert (hops[:-1] == window - overlap).all()
    assert all(0 < hop <= window - overlap for hop in hops)


def test_weights_fall_to_both_ends_and_never_reach_zero():
    assert blend_weights(5, 2).tolist() == [1, 2, 2, 2, 1]
    assert blend_weights(4, 2).tolist() == [1, 2, 2, 1]
    assert blend_weights(7, 3).tolist() == [1, 2, 3, 3, 3, 2, 1]
    assert blend_weights(3, 0).tolist() == [1, 1, 1]


@given(LENGTHS, WINDOWS, SHARES)
def test_what_does_not_depend_on_the_window_is_stitched_without_a_seam(
    length, window, share
):
    window = min(window, length)
    overlap = int(share * window)
    truth = np.random.default_rng(0).random((length, 3)).astype(np.float32)
    stitching = Stitching(length, 3, overlap=overlap)
    for start in window_starts(length, window, overlap):
        stitching.add(start, truth[start : start + window])
    np.testing.assert_allclose(stitching.result(), truth, rtol=1e-5)


@given(st.integers(1, 50_000), st.integers(10, 7_000), SHARES)
def test_stretches_hold_all_windows_in_order_and_read_what_is_around_them(
    length, window, share
):
    window = min(window, length)
    overlap = int(share * window)

    found = list(window_stretches(length, window=window, overlap=overlap, context=30))

    starts = [start for stretch in found for start in stretch.starts]
    assert starts == window_starts(length, window, overlap)
    for stretch in found:
        assert stretch.window == window
        assert stretch.start == stretch.starts[0]
        assert stretch.stop == stretch.starts[-1] + window
        assert stretch.length <= max(6_000, window)
        assert stretch.read_from == max(0, stretch.start - 30)
        assert stretch.read_to == min(length, stretch.stop + 30)


def test_a_long_recording_is_read_piece_by_piece_and_marked_as_if_it_were_one(
    model, monkeypatch
):
    whole = tracks(1000)
    asked = []

    def read(start, stop):
        asked.append(stop - start)
        return whole.read(start, stop)

    at_once = frame_probabilities(model, whole, ALL)
    monkeypatch.setattr("mabe.models.prediction_windows.STRETCH_FRAMES", 70)

    in_pieces = frame_probabilities(model, Tracks(1000, read), ALL)

    assert max(asked) <= 70 + 2 * 167
    assert len(asked) > 5
    np.testing.assert_allclose(in_pieces, at_once, atol=0.02)


def test_a_quick_copy_for_two_animals_says_what_the_whole_model_says(
    model, monkeypatch
):
    monkeypatch.setattr("mabe.models.model.has_quick_bf16", lambda device: False)
    poses = tracks(90).read(0, 90)
    poses[:, :, 5:] = math.nan
    read = lambda start, stop: poses[start:stop]  # noqa: E731
    two = [animal * 18 + keypoint for animal in (0, 1) for keypoint in range(5)]

    quick = frame_probabilities(model, Tracks(90, read, tuple(two)), ALL)

    slow = frame_probabilities(model, Tracks(90, read), ALL)
    np.testing.assert_allclose(quick, slow, atol=1e-6)
    assert len(model.for_slots(two).feature_names) == 10 * 4


def test_where_the_camera_has_its_origin_changes_nothing_in_the_arenas_directions():
    torch.manual_seed(0)
    config = RunConfig(
        scene_frame=False, conv_channels=(8,), lstm_hidden=8, sequence_length=40
    )
    model = SceneModel(config.model, config.scene_task).eval()
    poses = tracks(90).read(0, 90)

    here = frame_probabilities(model, tracks_of(poses), ALL)
    there = frame_probabilities(model, tracks_of(poses + 40), ALL)

    np.testing.assert_allclose(there, here, atol=0.01)


def test_sixteen_bits_say_nearly_the_same(model, monkeypatch):
    said = {}
    for quick in (False, True):
        monkeypatch.setattr("mabe.models.model.has_quick_bf16", lambda _, q=quick: q)
        said[quick] = frame_probabilities(model, tracks(200), ALL)

    np.testing.assert_allclose(said[True], said[False], atol=0.02)
    assert not np.array_equal(said[True], said[False])


@pytest.mark.parametrize("frames", [1, 3, 39, 40, 41, 200])
def test_probabilities_of_any_length_sum_to_one(model, frames):
    probabilities = frame_probabilities(model, tracks(frames), ALL)
    assert probabilities.shape == (frames, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_impossible_classes_get_nothing(model):
    possible = np.array([True, False, True, False])
    probabilities = frame_probabilities(model, tracks(60), possible)
    assert (probabilities[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_recording_without_animals_still_has_probabilities(model):
    nobody = Tracks(
        60, lambda start, stop: np.full((stop - start, 4, 18, 2), np.nan, np.float32)
    )
    for each in (nobody, Tracks(60, nobody.read, slots=())):
        assert np.isfinite(frame_probabilities(model, each, ALL)).all()


def test_a_checkpoint_gives_the_same_probabilities_and_its_provenance(model, tmp_path):
    save_checkpoint(tmp_path / "best.safetensors", model, PROVENANCE)
    for run in (tmp_path, tmp_path / "best.safetensors"):
        loaded = load_checkpoint(run)
        assert loaded.members[0].provenance == PROVENANCE
        assert loaded.model.config == model.config
        np.testing.assert_array_equal(
            frame_probabilities(loaded.model, tracks(60), ALL),
            frame_probabilities(model, tracks(60), ALL),
        )


def test_the_same_model_is_saved_as_the_same_bytes(model, tmp_path):
    for name in ("one", "other"):
        save_checkpoint(tmp_path / f"{name}.safetensors", model, PROVENANCE)
    one, other = (tmp_path / f"{n}.safetensors" for n in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_a_folder_without_a_model_says_what_it_holds(tmp_path):
    with pytest.raises(RunError, match="no model here"):
        load_checkpoint(tmp_path)
    (tmp_path / "epoch_005.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"epoch_005\.safetensors"):
        load_checkpoint(tmp_path)


def test_a_damaged_checkpoint_is_one_line(model, tmp_path):
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, model, PROVENANCE)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match="not a readable checkpoint"):
        load_checkpoint(path)
    path.write_bytes(b"\x80\x04K\x01.")  # a pickle
    with pytest.raises(RunError, match="not a readable checkpoint"):
        load_checkpoint(Path(path))
