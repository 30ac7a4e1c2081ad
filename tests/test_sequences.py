"""Who does what after what, and who begins and wins."""

from itertools import pairwise

import numpy as np
import pytest
from observation_stories import observed

from mabe.measures.dominance import (
    davids_scores,
    elo_ratings,
    measure_dyads,
    measure_ranks,
)
from mabe.measures.sequences import (
    REPLY,
    SAME,
    find_sequences,
    measure_follows,
    measure_transitions,
    recording_transitions,
)


def chain(actions, *, agent=1, target=2, gap=5, **options):
    bouts = [
        (at * (10 + gap), at * (10 + gap) + 10, action, agent, target)
        for at, action in enumerate(actions)
    ]
    return observed(bouts, **options)


def table(rows):
    return {(row.first, row.next): row for row in rows}


def test_transitions_are_counted_as_one_does_with_a_finger():
    rows = table(recording_transitions(chain("ababac")))

    assert rows["a", "b"].count == 2
    assert rows["b", "a"].count == 2
    assert rows["a", "c"].count == 1
    assert ("a", "a") not in rows
    assert rows["a", "b"].probability == pytest.approx(2 / 3)


def test_a_fixed_order_is_more_than_chance_and_a_random_one_is_not():
    fixed = table(measure_transitions("annotated", [chain("abc" * 20, length=2000)]))
    letters = np.random.default_rng(1).choice(list("abc"), 120)
    mixed = measure_transitions("annotated", [chain(letters, length=2000)])

    assert fixed["a", "b"].p_holm < 0.05
    assert fixed["a", "b"].probability == 1
    assert fixed["a", "b"].expected_probability == pytest.approx(1 / 2, abs=0.02)
    assert all(row.p_holm > 0.05 for row in mixed)


def test_chance_is_what_a_loop_over_shuffled_orders_gives():
    letters = "aabcabcaab"
    row = table(measure_transitions("annotated", [chain(letters)]))["a", "b"]
    generator = np.random.default_rng(9)
    shares = []
    for _ in range(3000):
        pairs = list(pairwise(generator.permutation(list(letters))))
        shares.append(
            sum(x == "a" and y == "b" for x, y in pairs)
            / sum(x == "a" for x, _ in pairs)
        )

    assert row.probability == pytest.approx(3 / 5)
    assert row.expected_probability == pytest.approx(np.mean(shares), abs=0.02)


def test_labels_that_exclude_each_other_are_compared_with_orders_without_repeats():
    """In any order of a, b and c without repeats each follows in half of the cases."""
    letters, generator = ["a"], np.random.default_rng(6)
    while len(letters) < 200:
        letters.append(generator.choice([x for x in "abc" if x != letters[-1]]))

    rows = table(measure_transitions("annotated", [chain(letters, length=4000)]))

    assert rows["a", "b"].expected_probability == pytest.approx(0.5, abs=0.05)
    assert rows["a", "a"].expected_probability == 0
    assert np.isnan(rows["a", "a"].p)
    assert all(rows[x, y].p_holm > 0.05 for x in "abc" for y in "abc" if x != y)


def test_a_sequence_ends_where_nobody_watched():
    story = observed(
        [(0, 10, "a", 1, 2), (20, 30, "b", 1, 2), (100, 110, "a", 1, 2)],
        coverage=[
            *((0, 50, action, 1, 2) for action in "ab"),
            *((60, 600, action, 1, 2) for action in "ab"),
        ],
    )

    assert find_sequences([story]).sequence.tolist() == [0, 0, 1]
    assert list(table(recording_transitions(story))) == [("a", "b")]


def test_each_animal_has_a_sequence_of_its_own():
    story = observed([(0, 10, "a", 1, 2), (12, 20, "b", 2, 1), (30, 40, "c", 1, 2)])

    assert list(table(recording_transitions(story))) == [("a", "c")]


def attacks_and_flights(seed):
    """The intruder flees 1 s after each attack starts, and approaches at any time."""
    generator = np.random.default_rng(seed)
    attacks, approaches = (
        np.sort(generator.choice(np.arange(10, 5900, 40), 40, replace=False)).tolist()
        for _ in range(2)
    )
    return observed(
        [(start, start + 5, "attack", 1, 2) for start in attacks]
        + [(start + 10, start + 20, "flee", 2, 1) for start in attacks]
        + [(start, start + 5, "approach", 2, 1) for start in approaches],
        length=6000,
    )


def test_a_reply_is_found_within_the_lag_and_is_more_than_chance():
    rows = {
        (row.first, row.next, row.by): row
        for row in measure_follows(
            "annotated", [attacks_and_flights(seed) for seed in (2, 3)], lag_s=1.0
        )
    }

    flee = rows["attack", "flee", REPLY]
    assert (flee.first_bouts, flee.followed, flee.share) == (80, 80, 1)
    assert flee.expected_share < 0.25
    assert flee.p_holm < 0.05
    assert rows["attack", "approach", REPLY].p_holm > 0.05
    assert ("attack", "flee", SAME) not in rows


def test_a_bout_whose_lag_was_not_watched_is_not_counted():
    story = observed(
        [(10, 20, "a", 1, 2), (585, 590, "a", 1, 2)], watched=[(1, 2, "a")]
    )

    (row,) = measure_follows("annotated", [story], lag_s=5)

    assert row.first_bouts == 1


def test_encounters_initiation_and_reciprocity_by_hand():
    story = observed(
        [
            (0, 10, "attack", 1, 2),
            (15, 20, "attack", 2, 1),
            (300, 310, "attack", 2, 1),
            (330, 340, "attack", 2, 1),
        ]
    )

    row = next(d for d in measure_dyads(story, pause_s=5) if d.action == "attack")

    assert (row.one, row.other) == ("resident", "intruder")
    assert (row.bouts_by_one, row.bouts_by_other) == (1, 3)
    assert row.reciprocity == 0.5
    assert (row.encounters, row.begun_by_one, row.begun_by_other) == (2, 1, 1)


def test_what_was_watched_in_one_direction_has_no_direction_to_compare():
    story = observed([(0, 10, "attack", 1, 2)], watched=[(1, 2, "attack")])

    assert measure_dyads(story, pause_s=5) == []
    assert measure_ranks(story) == []


def test_davids_score_is_that_of_its_formula_by_loops():
    wins = np.array([[0, 5, 3, 0], [1, 0, 4, 2], [0, 0, 0, 2], [0, 1, 0, 0]])
    n = len(wins)
    index = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            met = wins[i, j] + wins[j, i]
            if met:
                share = wins[i, j] / met
                index[i, j] = share - (share - 0.5) / (met + 1)
    w = index.sum(axis=1)
    lost = index.sum(axis=0)
    w2 = [sum(index[i, j] * w[j] for j in range(n)) for i in range(n)]
    l2 = [sum(index[j, i] * lost[j] for j in range(n)) for i in range(n)]

    scores = davids_scores(wins)

    np.testing.assert_allclose(scores, w + w2 - lost - l2)
    assert scores.sum() == pytest.approx(0)


def test_elo_moves_by_half_of_k_among_equals_and_keeps_its_sum():
    assert elo_ratings([(0, 1)], 2).tolist() == [1050, 950]
    assert elo_ratings([(0, 1), (2, 0), (2, 1)], 3).sum() == pytest.approx(3000)


def test_ranks_have_the_lab_s_names():
    story = observed([(0, 10, "attack", 1, 2), (20, 30, "attack", 2, 1)])

    assert {rank.animal for rank in measure_ranks(story)} == {"resident", "intruder"}
