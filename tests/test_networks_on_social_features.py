"""Networks on social features: their inputs, the scaling, and that they learn."""

import json
import math
from itertools import permutations

import numpy as np
import pytest
import torch
from chases import TINY_PAIRS, write_chases
from stories import GRU, TINY, write_fights

from mabe.config import build_config
from mabe.errors import ConfigError
from mabe.features.nearest_pair import NearestPairFeatures
from mabe.features.pair_view import PairSocialFeatures
from mabe.features.social import SocialFeatures
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.models.checkpoint import load_checkpoint
from mabe.models.conv_gru import ConvGRU
from mabe.models.input_scaling import FittedScaling
from mabe.models.model import build_model
from mabe.skeleton import KEYPOINTS
from mabe.training.objectives import load_training_data
from mabe.training.run import train

NAN = math.nan
BODY_CM = {"nose": 4.0, "body_center": 0.0, "tail_base": -4.0}


def settings(data, root, story=TINY, **changes):
    values = {**story, **GRU, "data_dir": data, "checkpoint_dir": root}
    values["store_dir"] = data.with_name(f"{data.name}-store")
    return build_config({**values, **changes}, where="test")


def scene(*places, frames=30):
    """Animals that stand at places (x, y) in cm and jitter; the others are absent."""
    poses = torch.full((1, frames, 4, len(KEYPOINTS), 2), NAN)
    noise = torch.Generator().manual_seed(0)
    for animal, place in enumerate(places):
        for name, ahead in BODY_CM.items():
            jitter = torch.randn(frames, 2, generator=noise) / 10
            poses[0, :, animal, KEYPOINTS.index(name)] = (
                torch.tensor(place) + torch.tensor([ahead, 0.0]) + jitter
            )
    return poses


def nearest(poses):
    module = NearestPairFeatures(rate_fps=10, max_gap_s=0.5)
    return dict(zip(module.names, module(poses)[0].unbind(dim=1), strict=True))


def test_of_three_animals_the_two_that_are_nearest_are_looked_at():
    far = (60.0, 0.0)

    found = nearest(scene((0.0, 0.0), far, (0.0, 8.0)))

    np.testing.assert_allclose(found["gap_cm"].mean(), 8, atol=0.1)


def test_two_animals_have_the_features_of_the_pair_they_are():
    poses = scene((0.0, 0.0), (0.0, 8.0))
    pair = SocialFeatures(rate_fps=10, max_gap_s=0.5, directed=False)

    found = NearestPairFeatures(rate_fps=10, max_gap_s=0.5)(poses)

    torch.testing.assert_close(found, pair(poses), equal_nan=True)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_animals_changes_nothing(order):
    poses = scene((0.0, 0.0), (60.0, 0.0), (0.0, 8.0))

    for one, other in zip(
        nearest(poses).values(), nearest(poses[:, :, [*order, 3]]).values(), strict=True
    ):
        torch.testing.assert_close(one, other, equal_nan=True, atol=1e-3, rtol=1e-3)


def test_one_animal_alone_has_its_own_features_and_none_of_a_pair():
    found = nearest(scene((0.0, 0.0)))

    assert found["larger.speed_cm_per_s"].isfinite().all()
    assert found["gap_cm"].isnan().all()


def test_a_scene_without_animals_is_no_error():
    assert nearest(torch.full((1, 5, 4, 18, 2), NAN))["gap_cm"].isnan().all()


@pytest.mark.parametrize("directed", [True, False])
def test_each_social_feature_is_in_one_group(directed):
    module = SocialFeatures(rate_fps=10, max_gap_s=0.5, directed=directed)

    places = sorted(place for group in module.groups.values() for place in group)

    assert places == list(range(len(module.names)))
    assert module.names[module.groups["gap"][0]] == "gap_cm"
    assert all("cm_per_s" in module.names[place] for place in module.groups["motion"])


def test_a_view_has_its_own_features_and_social_ones_after_them():
    module = PairSocialFeatures(rate_fps=10, use_motion_features=True, max_gap_s=0.5)
    poses = torch.full((1, 30, 5, 18, 2), NAN)
    poses[:, :, :4] = scene((0.0, 0.0), (0.0, 8.0))

    values = module(poses)

    assert values.shape == (1, 30, len(module.names))
    assert len(set(module.names)) == len(module.names)
    gap = module.names.index("gap_cm")
    assert gap in module.groups["gap"]
    np.testing.assert_allclose(values[0, :, gap].mean(), 8, atol=0.1)
    torch.testing.assert_close(
        values[..., : len(module.view.names)], module.view(poses), equal_nan=True
    )


def test_what_is_usual_becomes_zero_and_what_is_rare_stays_small():
    entry = FittedScaling(features=2)
    usual = torch.linspace(0, 10, 101)
    entry.fit(torch.stack([usual, torch.full((101,), NAN)], dim=1))

    x = torch.tensor([[[5.0, 1.0], [9.0, NAN], [5000.0, 2.0], [NAN, 0.0]]])
    found = entry(x)[0]

    torch.testing.assert_close(
        found[:, 0], torch.tensor([0.0, 1.0, 4995 / 4, 0.0]).asinh()
    )
    # Never seen while fitting: left at its own scale, and missing is zero there too.
    torch.testing.assert_close(found[:, 1], torch.tensor([1.0, 0.0, 2.0, 0.0]).asinh())


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data", videos=6)


@pytest.fixture(scope="module")
def run(fights, tmp_path_factory):
    root = tmp_path_factory.mktemp("run") / "gru"
    return train(settings(fights, root, epochs=4, steps_per_epoch=10)).run_dir


def test_a_small_gru_finds_the_fights_of_a_video_it_never_saw(run):
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))

    assert history[-1]["f1_macro"] > 0.9


def test_what_is_usual_is_kept_with_the_weights(run, fights):
    config = settings(fights, run, epochs=4, steps_per_epoch=10)
    objective = load_training_data(config).objective(config)
    model = load_checkpoint(run / "last.safetensors").model

    fresh = build_model(config.model, objective.task)
    assert not torch.equal(model.scaling.middle_F, fresh.scaling.middle_F)
    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    model.to(config.device)
    assert objective.score(model).loss == history[-1]["val_loss"]


def test_in_use_a_gru_sees_longer_windows_than_it_learned_from(run, monkeypatch):
    model = load_checkpoint(run / "last.safetensors").model
    shown = []
    real = model.forward
    monkeypatch.setattr(model, "forward", lambda x: shown.append(x.shape[1]) or real(x))
    poses = scene((0.0, 0.0), (0.0, 8.0), frames=1000)[0].numpy()
    tracks = Tracks(1000, lambda start, stop: poses[start:stop])

    frame_probabilities(model, tracks, np.ones(4, bool))

    assert set(shown) == {ConvGRU.use_factor * model.config.sequence_length}


def test_a_small_gru_learns_who_chases_whom(tmp_path):
    data = write_chases(tmp_path / "data", videos=6)
    config = settings(data, tmp_path / "run", TINY_PAIRS, epochs=4, steps_per_epoch=10)

    run = train(config).run_dir

    history = json.loads((run / "history.json").read_text(encoding="utf-8"))
    assert history[-1]["f1_macro"] > 0.9


def test_the_number_of_social_features_is_checked_like_any(fights, tmp_path):
    names = SocialFeatures(rate_fps=10, max_gap_s=0.5, directed=False).names
    assert settings(fights, tmp_path).features.names == names
    settings(fights, tmp_path, input_dim=len(names))
    with pytest.raises(ConfigError, match="feature_set: social"):
        settings(fights, tmp_path, input_dim=288)
