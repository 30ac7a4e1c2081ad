"""What a batch asks, and how wrong the answers are, by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.data.pair_windows import PairBatch
from mabe.training.losses import ActionWeights, balance_actions, pair_loss
from mabe.training.objectives.pair import PairTargets
from mabe.training.objectives.scene import SceneTargets

CPU = torch.device("cpu")
EVEN = (1.0, 1.0)
HAPPENS, NOBODY_LOOKED = 1, -1


def loss_of(logits, labels, *, action=EVEN, happening=EVEN):
    """Loss of one window, [time, action]."""
    return pair_loss(
        torch.tensor([logits]),
        torch.tensor([labels], dtype=torch.int8),
        torch.tensor(action),
        torch.tensor(happening),
    ).item()


# The loss.


def test_an_answer_that_knows_nothing_costs_log_two():
    assert loss_of([[0.0, 0.0]], [[1, 0]]) == pytest.approx(2 * math.log(2))


def test_the_loss_is_minus_the_log_of_the_chance_given_to_what_was_seen():
    three_to_one = math.log(3)  # a probability of 3/4
    assert loss_of([[three_to_one, 0.0]], [[1, -1]]) == pytest.approx(-math.log(3 / 4))
    assert loss_of([[three_to_one, 0.0]], [[0, -1]]) == pytest.approx(-math.log(1 / 4))


def test_actions_do_not_compete():
    both = loss_of([[9.0, 9.0]], [[1, 1]])
    assert both == pytest.approx(2 * math.log1p(math.exp(-9)), rel=1e-4)


def test_an_action_weighs_what_the_config_says_and_more_where_it_happens():
    weights = {"action": (2.0, 5.0), "happening": (3.0, 7.0)}
    log_2 = math.log(2)
    assert loss_of([[0.0, 0.0]], [[1, -1]], **weights) == pytest.approx(2 * 3 * log_2)
    assert loss_of([[0.0, 0.0]], [[0, -1]], **weights) == pytest.approx(2 * log_2)
    assert loss_of([[0.0, 0.0]], [[-1, 1]], **weights) == pytest.approx(5 * 7 * log_2)


def test_where_nobody_looked_no_answer_is_wrong():
    assert loss_of([[50.0, -50.0]], [[-1, -1]]) == 0.0


def test_a_weight_of_zero_takes_an_action_out():
    assert loss_of([[50.0, 0.0]], [[0, 0]], action=(0.0, 1.0)) == pytest.approx(
        math.log(2)
    )


def test_only_watched_answers_have_a_gradient():
    logits = torch.zeros(1, 3, 2, requires_grad=True)
    labels = torch.tensor([[[1, -1], [-1, 0], [-1, -1]]], dtype=torch.int8)
    pair_loss(logits, labels, torch.ones(2), torch.tensor([4.0, 1.0])).backward()
    expected = torch.tensor([[[-2.0, 0.0], [0.0, 0.5], [0.0, 0.0]]])
    torch.testing.assert_close(logits.grad, expected)


def test_an_answer_that_is_sure_and_wrong_costs_much_and_not_infinitely():
    assert loss_of([[-200.0, 0.0]], [[1, -1]]) == pytest.approx(200.0)


def random_question(seed, *, windows=5, frames=3, actions=4):
    """A targets and the logits of an answer."""
    rng = np.random.default_rng(seed)
    batch = PairBatch(
        poses=np.full((windows, frames, 5, 18, 2), np.nan, np.float32),
        labels=rng.integers(-1, 2, (windows, frames, actions)).astype(np.int8),
        lab=rng.integers(0, 3, windows),
        is_self=rng.random(windows) < 0.5,
    )
    weights = ActionWeights(
        tuple(rng.uniform(0, 3, actions)), tuple(rng.uniform(1, 5, actions))
    )
    logits = torch.from_numpy(rng.normal(0, 2, batch.labels.shape)).float()
    return PairTargets.of_batch(batch, weights, CPU), logits, batch, weights


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_loss_and_total_are_those_of_the_answers_one_by_one(seed):
    targets, logits, batch, weights = random_question(seed)
    loss = total = 0.0
    for place, state in np.ndenumerate(batch.labels):
        if state == NOBODY_LOOKED:
            continue
        action = place[-1]
        weight = weights.action[action]
        weight *= weights.happening[action] if state == HAPPENS else 1.0
        probability = 1 / (1 + math.exp(-logits[place]))
        loss -= weight * math.log(probability if state == HAPPENS else 1 - probability)
        total += weight
    assert targets.total().item() == pytest.approx(total, rel=1e-5)
    assert targets.loss(Answers(logits), poses_for(logits)).item() == pytest.approx(
        loss, rel=1e-4
    )


class Answers(torch.nn.Module):
    """A network that gives prepared answers, and remembers what it was asked."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits
        self.asked = []

    def forward(self, poses, *about):
        self.asked.append(about)
        answered, self.logits = self.logits.split(
            [len(poses), len(self.logits) - len(poses)]
        )
        return answered


def poses_for(logits):
    return torch.full((*logits.shape[:2], 5, 18, 2), math.nan)


# Pieces.


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_the_pieces_of_a_question_sum_to_the_whole(seed, windows):
    targets, logits, batch, _ = random_question(seed)
    pieces = targets.split(windows)
    model = Answers(logits)
    sizes = [len(piece.labels_BTN) for piece in pieces]
    assert sum(sizes) == 5
    assert max(sizes) == min(windows, 5)
    losses = [
        piece.loss(model, poses)
        for piece, poses in zip(pieces, poses_for(logits).split(windows), strict=True)
    ]
    whole = targets.loss(Answers(logits), poses_for(logits))
    torch.testing.assert_close(sum(losses), whole)
    torch.testing.assert_close(sum(p.total() for p in pieces), targets.total())
    lab, is_self = (torch.cat(each) for each in zip(*model.asked, strict=True))
    assert lab.tolist() == batch.lab.tolist()
    assert is_self.tolist() == batch.is_self.tolist()


def test_the_pieces_of_a_scene_question_sum_to_the_whole():
    torch.manual_seed(0)
    labels = torch.randint(-1, 3, (5, 4))
    targets = SceneTargets(labels, torch.ones(5, 3).bool(), torch.rand(3) + 1)
    logits = torch.randn(5, 4, 3)
    pieces = targets.split(2)
    poses, model = torch.zeros(5, 4, 4, 18, 2), Answers(logits)
    losses = [
        piece.loss(model, some)
        for piece, some in zip(pieces, poses.split(2), strict=True)
    ]
    whole = targets.loss(Answers(logits), poses)
    assert [len(piece.labels_BT) for piece in pieces] == [2, 2, 1]
    torch.testing.assert_close(sum(losses), whole)
    torch.testing.assert_close(sum(p.total() for p in pieces), targets.total())


# How much an action counts.


def balance(happened, watched, power):
    return balance_actions([happened], [watched], power=power, by_hand=[1.0]).happening


def test_a_rare_action_is_raised_by_how_rare_it_is_to_a_power():
    # 20 frames with it, 320 without: sixteen times as many.
    assert balance(20, 340, 1.0) == (pytest.approx(16.0),)
    assert balance(20, 340, 0.5) == (pytest.approx(4.0),)
    assert balance(20, 340, 0.25) == (pytest.approx(2.0),)
    assert balance(20, 340, 0.0) == (1.0,)


def test_frames_in_which_nobody_looked_make_no_action_rare():
    assert balance(20, 40, 1.0) == (1.0,)


@pytest.mark.parametrize(("happened", "watched"), [(0, 100), (100, 100), (0, 0)])
def test_an_action_that_is_always_or_never_there_is_left_alone(happened, watched):
    assert balance(happened, watched, 1.0) == (1.0,)


def test_a_common_action_is_not_lowered():
    assert balance(80, 100, 1.0) == (1.0,)


def test_each_action_has_its_own_weights():
    weights = balance_actions([10, 50], [100, 100], power=1.0, by_hand=[1.0, 2.5])
    assert weights.happening == (pytest.approx(9.0), 1.0)
    assert weights.action == (1.0, 2.5)
