"""Several models as one, in memory and on disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from cards import change_card
from hypothesis import given
from hypothesis import strategies as st

from mabe.bouts import View
from mabe.config import RunConfig
from mabe.decoding.rules import ClassRule, DecisionRules
from mabe.errors import RunError
from mabe.inference.frame_probabilities import (
    Tracks,
    frame_probabilities,
    view_probabilities,
)
from mabe.models.checkpoint import (
    Member,
    Provenance,
    load_checkpoint,
    plain_rules,
    save_ensemble,
    save_rules,
)
from mabe.models.ensemble import Ensemble
from mabe.models.input_contract import InputContract
from mabe.models.model import build_model
from mabe.models.model_config import ModelConfig
from mabe.pair_task import PairTask
from mabe.scene_task import CHALLENGE_CLASSES, TaskKind

SMALL = {"conv_channels": (8,), "lstm_hidden": 4, "lstm_layers": 1, "lab_channels": 2}
SMALL |= {"sequence_length": 20, "tcn_width": 8, "tcn_layers": 2}
ALL = np.ones(4, bool)
POSES = np.random.default_rng(0).normal(0, 10, (45, 4, 18, 2)).astype(np.float32)
TRACKS = Tracks(45, lambda start, stop: POSES[start:stop])


def model(seed=0, **settings):
    config = RunConfig(**(SMALL | settings))
    torch.manual_seed(seed)
    fresh = build_model(config.model, config.scene_task).eval()
    for parameter in fresh.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return fresh


def pair_model(seed=0, actions=("attack", "sniff"), **vocabulary):
    """A model of pairs; for each lab the actions that occur there."""
    task = PairTask(
        actions=actions,
        labs=tuple(sorted(vocabulary)),
        vocabulary={
            lab: frozenset((action, False) for action in names)
            for lab, names in vocabulary.items()
        },
    )
    torch.manual_seed(seed)
    return build_model(ModelConfig(**SMALL), task).eval()


def member(of, name="a"):
    provenance = Provenance(
        epoch=3,
        step=30,
        trained_on=(f"learned by {name}", "learned by all"),
        validated_on=(f"held out by {name}",),
        validation={"f1_macro": 0.5},
    )
    return Member(of, provenance)


def trio(**settings):
    return [member(model(seed, **settings), name) for seed, name in enumerate("abc")]


# In memory.


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=6).filter(lambda w: sum(w) > 0.1)
)
def test_weights_sum_to_one_and_keep_their_proportions(weights):
    one = A_MODEL
    found = Ensemble.of([one] * len(weights), weights).weights
    assert sum(found) == pytest.approx(1)
    np.testing.assert_allclose(found, np.array(weights) / sum(weights))


A_MODEL = model()


def test_without_weights_all_count_the_same():
    assert Ensemble.of([A_MODEL] * 4).weights == (0.25,) * 4


@pytest.mark.parametrize(
    ("members", "weights"), [(0, []), (2, [1.0]), (2, [0.0, 0.0]), (2, [-1.0, 0.5])]
)
def test_weights_that_make_no_mean_are_refused(members, weights):
    with pytest.raises(RunError, match="expected a weight for each of") as error:
        Ensemble.of([A_MODEL] * members, weights)
    assert "\n" not in str(error.value)


def test_one_of_several_weights_below_zero_is_refused():
    with pytest.raises(RunError, match="expected a weight for each of"):
        Ensemble.of([A_MODEL] * 2, [-1.0, 3.0])


def test_members_may_be_of_other_kinds_and_lengths_of_window():
    members = [model(0), model(1, model_type="tcn", sequence_length=33)]
    joined = Ensemble.of(members, [1, 3])
    one, other, both = (
        frame_probabilities(each, TRACKS, ALL) for each in (*members, joined)
    )
    assert np.abs(one - other).max() > 0.05
    np.testing.assert_allclose(both, 0.25 * one + 0.75 * other, atol=1e-6)


def test_members_that_drop_absent_slots_and_members_that_cannot_are_averaged(
    monkeypatch,
):
    monkeypatch.setattr("mabe.models.model.has_quick_bf16", lambda _: False)
    poses = POSES.copy()
    poses[:, 2:] = np.nan
    tracks = Tracks(45, lambda start, stop: poses[start:stop], tuple(range(36)))
    members = [model(0), model(1, model_type="tcn")]

    one, other, both = (
        frame_probabilities(each, tracks, ALL)
        for each in (*members, Ensemble.of(members))
    )

    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)


def test_views_are_averaged_as_scenes_are():
    members = [pair_model(seed, A=["attack"]) for seed in (0, 1)]
    joined = Ensemble.of(members, [1, 3])
    one, other, both = (
        view_probabilities(each, TRACKS, View(2, 1), "A") for each in (*members, joined)
    )
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_allclose(both, 0.25 * one + 0.75 * other, atol=1e-6)


def test_variants_reach_every_member():
    members = [model(0), model(1)]
    joined = Ensemble.of(members)
    one, other, both = (
        frame_probabilities(each, TRACKS, ALL, variants=2)
        for each in (*members, joined)
    )
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)
    assert np.abs(both - frame_probabilities(joined, TRACKS, ALL)).max() > 1e-3


def test_an_action_occurs_in_a_lab_where_any_member_has_seen_it():
    members = [
        pair_model(A=["attack"], B=["sniff"]),
        pair_model(A=["sniff"], C=[]),
    ]
    task = Ensemble.of(members).task
    assert task.labs == ("A", "B", "C")
    possible = {lab: task.can_occur(lab, View(1, 2)).tolist() for lab in "ABC"}
    assert possible == {"A": [True, True], "B": [False, True], "C": [False, False]}


def test_every_member_has_its_own_number_for_a_lab():
    # B is the second lab of one and the first of the other.
    members = [
        pair_model(0, A=["attack"], B=["attack"]),
        pair_model(1, B=["attack"]),
    ]
    alone = [view_probabilities(each, TRACKS, View(1, 2), "B") for each in members]
    joined = view_probabilities(Ensemble.of(members), TRACKS, View(1, 2), "B")
    np.testing.assert_allclose(joined, np.mean(alone, axis=0), atol=1e-6)


OTHERS = {
    "fewer classes": model(classes={"background": [], "fight": ["attack"]}),
    "another order": model(
        classes={
            name: list(CHALLENGE_CLASSES[name])
            for name in ("background", "mating", "social", "aggressive")
        }
    ),
    "pairs": pair_model(A=["attack"]),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_question_is_refused_and_both_are_named(other):
    with pytest.raises(RunError, match=r"different tasks.*background") as error:
        Ensemble.of([A_MODEL, OTHERS[other]])
    assert "\n" not in str(error.value)


def test_pairs_of_other_actions_are_refused():
    with pytest.raises(RunError, match=r"different tasks.*attack"):
        Ensemble.of(
            [
                pair_model(A=["attack"]),
                pair_model(actions=("attack", "mount"), A=["attack"]),
            ]
        )


def test_another_working_rate_is_refused():
    with pytest.raises(RunError, match=r"\[25.0, 33.3\] frames per second"):
        Ensemble.of([A_MODEL, model(fps=25.0)])


# On disk.


RULES = DecisionRules(
    kind=TaskKind.SCENE,
    classes=tuple(
        ClassRule(name=name, threshold=0.1 * place, min_bout_s=0.5)
        for place, name in enumerate(CHALLENGE_CLASSES, start=1)
    ),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "best.safetensors"


def test_members_weights_and_tracks_survive(path):
    members = trio()
    save_ensemble(path, members, [2, 1, 1], tuned_on=["chose"])
    loaded = load_checkpoint(path)
    assert loaded.model.weights == pytest.approx((0.5, 0.25, 0.25))
    assert loaded.tuned_on == ("chose",)
    assert loaded.rules == plain_rules(members[0].model.task)
    assert loaded.trained_on == {f"learned by {x}" for x in ("a", "b", "c", "all")}
    assert loaded.validated_on == {f"held out by {x}" for x in "abc"}
    for mine, theirs in zip(loaded.members, members, strict=True):
        assert mine.provenance == theirs.provenance
        assert mine.model.config == theirs.model.config
        np.testing.assert_array_equal(
            frame_probabilities(mine.model, TRACKS, ALL),
            frame_probabilities(theirs.model, TRACKS, ALL),
        )


def test_more_than_ten_members_keep_their_own_weights(path):
    members = [member(model(seed), str(seed)) for seed in range(12)]
    save_ensemble(path, members, [1.0] * 12)
    loaded = load_checkpoint(path)
    for mine, theirs in zip(loaded.members, members, strict=True):
        mine, theirs = (each.model.network.head.weight for each in (mine, theirs))
        assert mine.equal(theirs)


def test_the_vocabularies_of_pairs_survive_and_are_joined(path):
    members = [
        member(pair_model(0, A=["attack"])),
        member(pair_model(1, A=["sniff"], B=["sniff"])),
    ]
    save_ensemble(path, members, [1, 1])
    loaded = load_checkpoint(path)
    assert loaded.members[0].model.task == members[0].model.task
    assert loaded.model.task.vocabulary == {
        "A": {("attack", False), ("sniff", False)},
        "B": {("sniff", False)},
    }
    assert loaded.rules == DecisionRules.plain(TaskKind.PAIR, ("attack", "sniff"))


def test_the_same_ensemble_is_saved_as_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        save_ensemble(tmp_path / f"{name}.safetensors", trio(), [2, 1, 1])
    one, other = (tmp_path / f"{name}.safetensors" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("count", [1, 3])
def test_rules_are_saved_in_place_and_nothing_else_changes(path, count):
    save_ensemble(path, trio()[:count], [2, 1, 1][:count], tuned_on=["before"])
    plain = load_checkpoint(path)
    save_rules(plain, RULES, tuned_on=["later", "before"])
    tuned = load_checkpoint(path)
    assert tuned.rules == RULES
    assert tuned.tuned_on == ("before", "later")
    assert [each.provenance for each in tuned.members] == [
        each.provenance for each in plain.members
    ]
    np.testing.assert_allclose(
        frame_probabilities(tuned.model, TRACKS, ALL),
        frame_probabilities(plain.model, TRACKS, ALL),
        atol=1e-6,
    )
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["rules"]["classes"][0]["threshold"] == 0.1


def test_saving_the_same_rules_twice_gives_the_same_bytes(path):
    save_ensemble(path, trio(), [2, 1, 1])
    save_rules(load_checkpoint(path), RULES, tuned_on=["x"])
    once = path.read_bytes()
    save_rules(load_checkpoint(path), RULES, tuned_on=["x"])
    assert path.read_bytes() == once


def test_an_ensemble_of_one_is_a_single_model(path):
    save_ensemble(path, trio()[:1], [1.0])
    assert not isinstance(load_checkpoint(path).model, Ensemble)


def test_an_ensembles_contract_is_the_union_of_its_members(path):
    contracts = [
        InputContract((("nose", "neck"), ("nose",)), (2,), (30.0, 25.0)),
        InputContract((("nose", "tail_base"), ("nose", "neck")), (1, 2), (25.0, 60.0)),
        None,
    ]
    members = [
        replace(one, provenance=replace(one.provenance, contract=contract))
        for one, contract in zip(trio(), contracts, strict=True)
    ]
    save_ensemble(path, members, [1, 1, 1])

    contract = load_checkpoint(path).contract

    assert contract == InputContract(
        (("nose", "neck"), ("nose",), ("nose", "tail_base")),
        (1, 2),
        (30.0, 25.0, 60.0),
    )


def test_rules_with_an_unknown_key_are_one_line(path):
    save_ensemble(path, trio(), [1, 1, 1])
    save_rules(load_checkpoint(path), RULES, tuned_on=[])
    change_card(path, lambda card: card["rules"].update(magic=1))
    with pytest.raises(Exception, match="magic") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
