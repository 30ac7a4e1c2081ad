"""Features of whole recordings, from which networks learn where poses stay the same."""

import numpy as np
import pytest
import torch
from stories import GRU, STILL, TINY, write_fights

from mabe.config import build_config
from mabe.data.clips import Clips
from mabe.features.coordinates_and_speeds import MotionFeatures
from mabe.features.social import SocialFeatures
from mabe.inference.frame_probabilities import Tracks
from mabe.models.model import build_model
from mabe.training.objectives import load_training_data
from mabe.training.recording_features import RecordingFeatures, are_fixed


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data", videos=4)


def settings(data, **changes):
    values = {**TINY, **GRU, **STILL, "device": "cpu", "data_dir": data, **changes}
    values["store_dir"] = data.with_name(f"{data.name}-store")
    return build_config(values, where="test")


@pytest.fixture(scope="module")
def objective(fights):
    config = settings(fights)
    return load_training_data(config).objective(config)


@pytest.fixture(scope="module")
def model(objective):
    torch.manual_seed(0)
    return build_model(objective.config.model, objective.task).eval()


def clips(recordings, starts, *, frames):
    seats = np.zeros((len(recordings), 4), int)
    return Clips(np.array(recordings), np.array(starts), frames, seats)


@torch.inference_mode()
def whole(model, store, index):
    tracks = Tracks.of_stored(store, index)
    poses = torch.from_numpy(tracks.read(0, tracks.length)[None])
    return model.extract_features(poses)[0].numpy()


def test_a_clip_has_the_features_of_its_frames_in_the_whole_recording(objective, model):
    store, (first, second, *_) = objective.data.store, objective.data.learned
    features = RecordingFeatures(model, store, objective.data.learned)

    found = features.read(clips([second, first], [30, 0], frames=64), 64).numpy()

    np.testing.assert_array_equal(found[0], whole(model, store, second)[30:94])
    np.testing.assert_array_equal(found[1], whole(model, store, first)[:64])


def test_behind_the_end_of_a_recording_all_is_missing(objective, model):
    store, (first, *_) = objective.data.store, objective.data.learned
    length = store.recordings[first].length
    features = RecordingFeatures(model, store, [first])

    [found] = features.read(clips([first], [length - 10], frames=64), 64).numpy()

    np.testing.assert_array_equal(found[:10], whole(model, store, first)[-10:])
    assert np.isnan(found[10:]).all()


def test_clips_that_are_stretched_in_time_are_refused(objective, model):
    store, (first, *_) = objective.data.store, objective.data.learned
    features = RecordingFeatures(model, store, [first])

    with pytest.raises(ValueError, match="80 frames cannot be resampled to 64"):
        features.read(clips([first], [0], frames=80), 64)


def test_the_loss_of_features_is_that_of_their_poses(objective, model):
    # Windows as long as the recordings, so that windows have the same features.
    length = objective.data.store.recordings[objective.data.learned[0]].length
    config = objective.config.changed(sequence_length=length)
    poses, features = (objective.data.objective(config) for _ in range(2))
    assert features.keep_features(model)

    shown = [each.draw(np.random.default_rng(5), 3, 1.0) for each in (poses, features)]
    losses = [
        each.targets(batch, torch.device("cpu")).loss(
            model, torch.as_tensor(batch.poses)
        )
        for each, batch in zip((poses, features), shown, strict=True)
    ]

    assert [batch.poses.ndim for batch in shown] == [5, 3]
    np.testing.assert_array_equal(shown[0].labels, shown[1].labels)
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("setting", STILL)
def test_features_are_not_kept_where_augmentation_changes_them(fights, setting):
    config = settings(fights, **{setting: 0.1})
    objective = load_training_data(config).objective(config)

    assert not objective.keep_features(build_model(config.model, objective.task))
    assert objective.draw(np.random.default_rng(0), 2, 1.0).poses.ndim == 5


def test_a_turn_changes_places_in_the_arena_and_no_distance(fights):
    how = settings(fights, augment_turn=True, augment_mirror=False).augmentation
    social = SocialFeatures(rate_fps=10, max_gap_s=0.5, directed=False)
    places = MotionFeatures(
        rate_fps=10, max_gap_s=0.5, use_motion_features=False, scene_frame=False
    )

    assert how.turn
    assert are_fixed(social, how)
    assert not are_fixed(places, how)
