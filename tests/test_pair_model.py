"""The inputs of the pair model, and what its outputs depend on."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.features.pair_view import OTHERS, PairFeatures, PairLayout
from mabe.models.input_scaling import OTHERS_CHANNELS, PairScaling
from mabe.models.model import Context, PairModel, build_model
from mabe.models.model_config import ModelConfig
from mabe.pair_task import UNKNOWN_LAB, PairTask

NAN = math.nan
LAYOUT = PairLayout(use_motion_features=True)
NAMES = LAYOUT.names()
OTHERS_AT = LAYOUT.places + LAYOUT.motion
FLAGS_AT = OTHERS_AT
"""Flags and pooled others take the places of the others' features."""


def poses_of(*, windows=2, frames=16, seats=5, missing=0.0, seed=0):
    """Points that wander, cm; the seats from `seats` on are empty."""
    generator = torch.Generator().manual_seed(seed)
    poses = torch.randn(windows, frames, 5, 18, 2, generator=generator)
    poses = 20 * torch.randn(windows, 1, 5, 18, 2, generator=generator) + poses
    gone = torch.rand(poses.shape[:-1], generator=generator) < missing
    poses[gone] = NAN
    poses[:, :, seats:] = NAN
    return poses


def features_of(poses, *, use_motion_features=True):
    return PairFeatures(
        rate_fps=10.0, use_motion_features=use_motion_features, max_gap_s=0.3
    )(poses)


def fresh_scaling(layout=LAYOUT):
    torch.manual_seed(0)
    scaling = PairScaling(layout)
    for parameter in scaling.parameters():  # a bias of zero would hide a leak
        torch.nn.init.normal_(parameter)
    return scaling


def others(channels):
    return channels[..., -OTHERS_CHANNELS:]


# The scaling.


PLACES = [
    ("agent.nose.along", 10.0, 1.0),
    ("target.tail_tip.across", -25.0, -2.5),
]
SPEEDS = [
    ("agent.nose.speed", 10.0, math.asinh(1)),
    ("target.headpiece.speed", 10.0, math.asinh(1)),
    ("agent.nose.acceleration", 100.0, math.asinh(1)),
    ("target.headpiece.acceleration", -100.0, -math.asinh(1)),
]
BODIES = [
    ("agent.forward", 10.0, math.asinh(1)),
    ("target.across", -10.0, -math.asinh(1)),
    ("agent.turning", 2.0, math.asinh(1)),
    ("target.turning", 2.0, math.asinh(1)),
    ("target.facing_along", -1.0, -math.asinh(1)),
    ("target.facing_across", 1.0, math.asinh(1)),
]


@pytest.mark.parametrize(
    ("use_motion_features", "kinds"),
    [(True, PLACES + SPEEDS + BODIES), (False, PLACES + BODIES)],
)
def test_each_kind_of_feature_is_about_one_and_stays_in_its_place(
    use_motion_features, kinds
):
    layout = PairLayout(use_motion_features)
    names = layout.names()
    for name, value, channel in kinds:
        features = torch.full((1, 1, layout.size), NAN)
        features[..., names.index(name)] = value
        channels = fresh_scaling(layout)(features)[0, 0]
        expected = torch.zeros(layout.places + layout.motion)
        expected[names.index(name)] = channel
        torch.testing.assert_close(channels[: len(expected)], expected)


def test_each_keypoint_of_the_two_has_a_flag_that_says_whether_it_is_seen():
    features = torch.full((1, 1, LAYOUT.size), NAN)
    seen = ["agent.nose", "target.nose", "target.headpiece"]
    for name in seen:
        for axis in ("along", "across"):
            features[..., NAMES.index(f"{name}.{axis}")] = 0.0
    channels = fresh_scaling()(features)[0, 0]
    flags = channels[FLAGS_AT:-OTHERS_CHANNELS]
    slots = [name.removesuffix(".along") for name in NAMES[: LAYOUT.places : 2]]
    assert len(flags) == len(slots) == 36
    assert [slots[i] for i in flags.nonzero().flatten()] == seen
    assert flags.sum() == 3


def test_a_leap_of_a_metre_does_not_drown_other_values():
    features = torch.zeros(1, 1, LAYOUT.size)
    features[..., NAMES.index("agent.nose.speed")] = 3000.0  # a swapped identity
    channels = fresh_scaling()(features)[0, 0]
    assert 6 < channels[NAMES.index("agent.nose.speed")] < 8


@settings(max_examples=25)
@given(st.permutations(range(OTHERS)), st.integers(0, 1000))
def test_the_order_of_the_others_does_not_matter(order, seed):
    features = features_of(poses_of(missing=0.3, seed=seed))
    reordered = features.clone()
    blocks = features[..., OTHERS_AT:].unflatten(2, (OTHERS, -1))
    reordered[..., OTHERS_AT:] = blocks[:, :, list(order)].flatten(2)
    scaling = fresh_scaling()
    torch.testing.assert_close(scaling(reordered), scaling(features))


def test_which_seats_the_others_have_does_not_matter():
    poses = poses_of(seats=4)
    moved = poses[:, :, [0, 1, 4, 3, 2]]
    scaling = fresh_scaling()
    torch.testing.assert_close(scaling(features_of(moved)), scaling(features_of(poses)))
    assert others(scaling(features_of(poses))).abs().sum() > 0


def test_others_that_are_not_there_are_zeros():
    channels = fresh_scaling()(features_of(poses_of(seats=2)))
    assert others(channels).eq(0).all()


def test_others_are_zeros_in_the_frames_in_which_none_is_seen():
    poses = poses_of(seats=3)
    poses[:, 4:, 2] = NAN
    pooled = others(fresh_scaling()(features_of(poses)))
    assert pooled[:, :4].abs().sum(dim=2).all()
    assert pooled[:, 4:].eq(0).all()


def test_another_animal_with_a_single_point_is_there():
    poses = poses_of(seats=2)
    poses[:, :, 3, 4] = 1.0
    assert others(fresh_scaling()(features_of(poses))).abs().sum(dim=2).all()


def test_the_number_of_others_does_not_matter_where_they_are_in_one_place():
    poses = poses_of(seats=3)
    crowd = poses.clone()
    crowd[:, :, 3] = crowd[:, :, 4] = crowd[:, :, 2]
    scaling = fresh_scaling()
    torch.testing.assert_close(scaling(features_of(crowd)), scaling(features_of(poses)))


@given(
    missing=st.floats(0, 1),
    seats=st.integers(0, 5),
    frames=st.integers(1, 12),
    seed=st.integers(0, 1000),
    use_motion_features=st.booleans(),
)
def test_nothing_missing_leaves_the_scaling(
    missing, seats, frames, seed, use_motion_features
):
    poses = poses_of(missing=missing, seats=seats, frames=frames, seed=seed)
    scaling = fresh_scaling(PairLayout(use_motion_features))
    channels = scaling(features_of(poses, use_motion_features=use_motion_features))
    assert channels.shape == (2, frames, scaling.channels)
    assert channels.isfinite().all()


@pytest.mark.parametrize("missing", [0.5, 1.0])
def test_gradients_are_finite_whatever_is_missing(missing):
    scaling = fresh_scaling()
    scaling(features_of(poses_of(missing=missing))).square().sum().backward()
    for parameter in scaling.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any() == (missing < 1)


# The model.

TASK = PairTask(
    actions=("attack", "rear", "sniff"),
    labs=("A", "B"),
    vocabulary={"A": frozenset(), "B": frozenset()},
)
SMALL = {
    "conv_channels": (8, 8),
    "lstm_hidden": 8,
    "lstm_layers": 1,
    "tcn_width": 8,
    "tcn_layers": 2,
    "lab_channels": 4,
    "dropout": 0.0,
    "fps": 10.0,
}


def fresh(**settings):
    """A model, ready for use, that has learned nothing."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(**(SMALL | settings)), TASK).eval()
    assert isinstance(model, PairModel)
    # Fresh norms have no bias, which would hide a leak.
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def ask(model, poses, lab=1, is_self=False):
    """Logits for windows of one lab, or of each its own."""
    lab = torch.as_tensor(lab).expand(len(poses))
    is_self = torch.as_tensor(is_self).expand(len(poses))
    return model(poses, lab, is_self)


def differ(one, other):
    """Whether each window's outputs differ."""
    return ((one - other).abs().amax(dim=(1, 2)) > 1e-4).all()


@pytest.mark.parametrize("model_type", ["conv_bilstm", "tcn"])
@pytest.mark.parametrize("use_motion_features", [True, False])
def test_there_is_an_output_for_each_action_and_frame(model_type, use_motion_features):
    model = fresh(model_type=model_type, use_motion_features=use_motion_features)
    assert ask(model, poses_of(frames=13)).shape == (2, 13, 3)


def test_outputs_depend_on_the_lab():
    model, poses = fresh(), poses_of()
    assert differ(ask(model, poses, lab=1), ask(model, poses, lab=2))
    assert differ(ask(model, poses, lab=UNKNOWN_LAB), ask(model, poses))


def test_outputs_depend_on_whether_it_is_one_animal():
    model, poses = fresh(), poses_of()
    assert differ(ask(model, poses, is_self=True), ask(model, poses, is_self=False))


def test_outputs_depend_on_who_is_the_agent():
    model, poses = fresh(), poses_of(seats=2)
    assert differ(ask(model, poses[:, :, [1, 0, 2, 3, 4]]), ask(model, poses))


def test_every_window_has_its_own_lab():
    model, poses = fresh(), poses_of(windows=1).expand(3, -1, -1, -1, -1)
    mixed = ask(model, poses, lab=[2, 0, 1], is_self=[False, True, False])
    for window, (lab, is_self) in enumerate([(2, False), (0, True), (1, False)]):
        alone = ask(model, poses[:1], lab=lab, is_self=is_self)
        torch.testing.assert_close(mixed[window : window + 1], alone)


def test_in_use_no_lab_is_forgotten():
    model, poses = fresh(lab_dropout=1.0), poses_of()
    assert differ(ask(model, poses, lab=1), ask(model, poses, lab=2))


def test_in_training_labs_are_forgotten_as_often_as_the_config_says():
    poses = poses_of(windows=1, frames=8).expand(400, -1, -1, -1, -1)
    model = fresh(lab_dropout=0.3)
    unknown = ask(model, poses[:1], lab=UNKNOWN_LAB)
    known = ask(model, poses[:1], lab=2)
    torch.manual_seed(0)
    answers = ask(model.train(), poses, lab=2)
    is_unknown = torch.isclose(answers, unknown, atol=1e-5).all(dim=2).all(dim=1)
    is_known = torch.isclose(answers, known, atol=1e-5).all(dim=2).all(dim=1)
    assert (is_unknown ^ is_known).all()
    assert is_unknown.float().mean() == pytest.approx(0.3, abs=0.07)


def test_without_forgetting_training_and_use_give_the_same_outputs():
    model, poses = fresh(lab_dropout=0.0), poses_of(windows=8)
    in_use = ask(model, poses, lab=2)
    torch.testing.assert_close(ask(model.train(), poses, lab=2), in_use)


def test_the_unknown_lab_is_learned_from_windows_whose_lab_is_forgotten():
    model = fresh(lab_dropout=1.0).train()
    ask(model, poses_of(), lab=2).sum().backward()
    learned = model.lab.weight.grad.abs().sum(dim=1) > 0
    assert learned.tolist() == [True, False, False]


def test_labs_may_have_no_channels_at_all():
    model, poses = fresh(lab_channels=0), poses_of()
    torch.testing.assert_close(ask(model, poses, lab=1), ask(model, poses, lab=2))


def test_other_windows_of_the_batch_change_nothing():
    model = fresh()
    poses = poses_of(windows=3, missing=0.2, frames=40)
    poses[0, :, 1:] = NAN
    poses[1, :, :, 3:] = NAN  # other keypoints than its neighbours have
    together = ask(model, poses)
    alone = torch.cat([ask(model, window[None]) for window in poses])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_where_the_arena_lies_changes_nothing():
    model, poses = fresh(), poses_of(missing=0.1)
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    torch.testing.assert_close(
        ask(model, poses @ turn + 30.0),
        ask(model, poses),
        rtol=1e-3,
        atol=1e-3,
    )


def test_a_window_without_animals_still_has_outputs():
    model = fresh()
    assert ask(model, torch.full((2, 16, 5, 18, 2), NAN)).isfinite().all()


def test_probabilities_of_actions_are_independent_of_each_other():
    model, poses = fresh(), poses_of()
    lab, is_self = torch.tensor([1, 2]), torch.tensor([True, False])
    logits = model(poses, lab, is_self)
    x = model.extract_features(poses)
    of_windows = [
        model.probabilities(x[:1], Context(lab=TASK.labs[0], is_self=True)),
        model.probabilities(x[1:], Context(lab=TASK.labs[1], is_self=False)),
    ]
    torch.testing.assert_close(torch.cat(of_windows), 1 / (1 + (-logits).exp()))


def test_a_fresh_model_expects_little_to_happen():
    torch.manual_seed(0)
    model = PairModel(ModelConfig(**SMALL), TASK).eval()
    x = model.extract_features(poses_of())
    probabilities = model.probabilities(x, Context(lab=TASK.labs[0]))
    assert 0.01 < probabilities.mean() < 0.15
