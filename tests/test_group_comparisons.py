"""Groups of animals: intervals, permutation tests, and what is never a sample."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from observation_stories import observed
from scipy import stats

from mabe.errors import ConfigError
from mabe.io.metadata import Metadata, RecordingFacts
from mabe.measures.gather import Gathered
from mabe.measures.group_tables import group_by
from mabe.measures.groups import (
    cliffs_delta,
    compare_groups,
    hedges_g,
    holm,
    permutation_p,
    permutation_ps,
)

EXPERIMENTS = 500


def test_the_p_value_of_few_animals_is_that_of_all_divisions():
    first, second = np.array([5.0, 7, 9]), np.array([1.0, 2, 3, 4])
    everyone = np.concatenate([first, second])
    measured = first.mean() - second.mean()
    differences = []
    for chosen in combinations(range(7), 3):
        inside = np.isin(np.arange(7), chosen)
        differences.append(everyone[inside].mean() - everyone[~inside].mean())
    low = np.mean([d <= measured + 1e-9 for d in differences])
    high = np.mean([d >= measured - 1e-9 for d in differences])

    assert permutation_p(first, second) == pytest.approx(2 * min(low, high))


def test_effect_sizes_by_hand():
    first, second = np.array([2.0, 4, 6]), np.array([1.0, 2, 3])
    pooled = np.sqrt((2 * 4 + 2 * 1) / 4)

    assert hedges_g(first, second) == pytest.approx(2 / pooled * (1 - 3 / 15))
    wins = sum(a > b for a in first for b in second)
    losses = sum(a < b for a in first for b in second)
    assert cliffs_delta(first, second) == pytest.approx((wins - losses) / 9)


def test_holm_by_hand():
    p = np.array([0.01, 0.04, np.nan, 0.03])

    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni(p):
    values = np.array(p)

    corrected = holm(values)

    assert (corrected >= values).all()
    assert (corrected <= np.minimum(1, len(p) * values) + 1e-12).all()


def test_the_interval_of_a_difference_holds_it_as_often_as_it_claims():
    generator = np.random.default_rng(5)
    inside = 0
    for _ in range(200):
        got = compare_groups(
            generator.normal(1, 1, 20), generator.normal(0, 1, 20), resamples=499
        )
        inside += got.low <= 1 <= got.high
    # The percentile bootstrap of 20 animals is known to be slightly too narrow.
    assert 0.88 < inside / 200 < 0.98


def experiments(effect, *, animals=12, actions=3):
    """Return shares of time [experiment, group, animal, action].

    Animals differ as real ones do (beta distribution, mean 20 %, sd 8 points); in the
    first group the first action has so much more.
    """
    generator = np.random.default_rng(11)
    shares = generator.beta(4.8, 19.2, (EXPERIMENTS, 2, animals, actions))
    shares[:, 0, :, 0] += effect
    return shares


def p_values(shares):
    """Return corrected p-values [experiment, action]."""
    treated, control = (
        np.moveaxis(shares[:, group], 1, 2).reshape(-1, shares.shape[2])
        for group in (0, 1)
    )
    p = permutation_ps(treated, control, resamples=499)
    return np.array([holm(each) for each in p.reshape(len(shares), -1)])


def test_many_tests_at_once_are_the_tests_one_by_one():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(5, 6)), generator.normal(size=(5, 7))

    together = permutation_ps(first, second, resamples=99)

    alone = [
        permutation_p(a, b, resamples=99) for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(together, alone)


def test_where_there_is_nothing_one_experiment_in_twenty_finds_something():
    """Among 500 experiments without an effect: 25 expected, 15 to 35 is chance."""
    found = (p_values(experiments(0)) <= 0.05).any(axis=1).sum()

    low, high = stats.binom.interval(0.999, EXPERIMENTS, 0.05)
    assert low <= found <= high


def test_a_known_difference_is_found_at_the_rate_of_its_t_test():
    """10 points more of one action, 12 animals a group, three actions corrected.

    Student's t-test at 5 % / 3 has a power of 0.68 there (normal, equal variance);
    Holm's is between that and the power at 5 %, 0.83.
    """
    p = p_values(experiments(0.10))

    sd = 0.08
    shift = 0.10 / sd * np.sqrt(12 / 2)
    power = [
        1 - stats.nct.cdf(stats.t.ppf(1 - alpha / 2, 22), 22, shift)
        for alpha in (0.05 / 3, 0.05)
    ]
    rate = (p[:, 0] <= 0.05).mean()
    assert power[0] - 0.06 < rate < power[1] + 0.06
    assert (p[:, 1:] <= 0.05).any(axis=1).mean() < 0.08


def gathered(numbers, *, ids=None, facts=None):
    """Return recordings of two animals: the first attacks `numbers` times."""
    observations, animals, known = [], {}, {}
    for video, number in enumerate(numbers):
        bouts = [(at * 20, at * 20 + 10, "attack", 1, 2) for at in range(number)]
        names = ids[video] if ids else (f"m{video}a", f"m{video}b")
        key = "Lab", str(video)
        observations.append(
            observed(
                bouts,
                video=str(video),
                animals=names,
                watched=[(1, 2, "attack"), (2, 1, "attack")],
            )
        )
        animals[key] = names
        known[key] = RecordingFacts({"dose": "high" if number > 4 else "low"})
    return Gathered(
        observations=observations, animals=animals, facts=facts or Metadata(known)
    )


def test_the_unit_is_an_animal_whatever_the_number_of_bouts_and_frames():
    grouped = group_by(gathered([1, 2, 8, 9]), "dose", unit="animal", identity=None)

    means = {(g.group, g.measure): g.mean for g in grouped.groups}
    assert means["high", "share"].n == 4  # two recordings of two animals
    assert means["high", "share"].mean == pytest.approx((8 / 60 + 9 / 60) / 4)
    assert "n = 4" in grouped.words[0]


def test_a_recording_can_be_the_unit():
    grouped = group_by(gathered([1, 2, 8, 9]), "dose", unit="recording", identity=None)

    (row,) = [c for c in grouped.comparisons if c.measure == "share"]
    assert (row.difference.n_first, row.difference.n_second) == (2, 2)
    assert row.difference.difference == pytest.approx(8.5 / 60 - 1.5 / 60)


def test_an_id_that_recurs_is_asked_about_and_then_counts_once():
    story = gathered([1, 2, 8, 9], ids=[("1", "2")] * 4)

    with pytest.raises(ConfigError, match=r"Lab/\d in 4.*--animals"):
        group_by(story, "dose", unit="animal", identity=None)
    different = group_by(story, "dose", unit="animal", identity="different")
    same = group_by(story, "dose", unit="animal", identity="same")

    def sizes(grouped):
        return {g.group: g.mean.n for g in grouped.groups if g.measure == "share"}

    assert sizes(different) == {"high": 4, "low": 4}
    assert sizes(same) == {"high": 2, "low": 2}
    # The same animals are in both groups, which are not independent.
    assert all(np.isnan(row.difference.p) for row in same.comparisons)
    assert any("not independent" in line for line in same.words)


def test_animals_without_the_fact_are_left_out_and_counted():
    story = gathered([1, 2, 8, 9])
    del story.facts.recordings["Lab", "0"]

    grouped = group_by(story, "dose", unit="animal", identity=None)

    assert any("Left out: 2 without dose" in line for line in grouped.words)


def test_an_unknown_fact_is_refused_with_those_that_are_known():
    with pytest.raises(ConfigError, match="known facts: dose"):
        group_by(gathered([1, 8]), "colour", unit="animal", identity=None)


def test_copies_of_one_track_count_once():
    story = gathered([1, 2, 8, 9])
    story.observations[:] = [
        observed([(0, 10, "attack", 1, 2)], video=str(at), track="same", watched=None)
        for at in range(4)
    ]

    grouped = group_by(story, "dose", unit="recording", identity=None)

    assert sum(g.mean.n for g in grouped.groups if g.measure == "share") == 1
    assert any("3 copies" in line for line in grouped.words)


def test_an_experiment_of_bouts_is_compared_from_its_bouts():
    """Two groups of twelve; in one attacks are 0.5 per minute more, rears are not."""
    generator = np.random.default_rng(8)
    observations, known, animals = [], {}, {}
    for video in range(24):
        is_treated = video % 2 == 0
        bouts = []
        for action, rate in (("attack", 1.0 + 0.5 * is_treated), ("rear", 1.0)):
            number = generator.poisson(rate * 20)
            starts = generator.choice(np.arange(0, 11_900, 20), number, replace=False)
            target = 2 if action == "attack" else 1
            bouts += [(int(s), int(s) + 15, action, 1, target) for s in starts]
        key = "Lab", str(video)
        animals[key] = (f"m{video}", f"n{video}")
        observations.append(
            observed(bouts, length=12_000, video=key[1], animals=animals[key])
        )
        known[key] = RecordingFacts({"dose": "drug" if is_treated else "saline"})
    story = Gathered(observations=observations, animals=animals, facts=Metadata(known))

    grouped = group_by(story, "dose", unit="animal", identity=None)

    rows = {(row.action, row.measure): row for row in grouped.comparisons}
    attack, rear = rows["attack", "per_min"], rows["rear", "per_min"]
    assert attack.p_holm < 0.01
    assert attack.difference.low < 0.5 < attack.difference.high
    assert rear.p_holm > 0.05
    assert (attack.difference.n_first, attack.difference.n_second) == (12, 12)
