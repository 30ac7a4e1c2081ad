import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mabe.bouts import NO_ACTION, NO_ANIMAL, Bout, find_bouts
from mabe.decoding.rules import ClassRule, DecisionRules, decide
from mabe.scene_task import TaskKind

ALL = (True, True, True)
NONE = NO_ACTION


def chosen(*probabilities, possible=ALL, threshold=0.5):
    rules = DecisionRules(
        kind=TaskKind.PAIR,
        classes=tuple(ClassRule(name=name, threshold=threshold) for name in "abc"),
    )
    given = np.array(probabilities, float).reshape(-1, 3)
    choices = decide(given, fps=30, lab="Lab", rules=rules, possible=np.array(possible))
    return choices.tolist()


def test_the_most_probable_action_is_chosen_where_it_is_sure_enough():
    assert chosen([0.6, 0.9, 0.7], [0.6, 0.4, 0.1], [0.4, 0.2, 0.3]) == [1, 0, NONE]


def test_a_probability_at_the_threshold_is_sure_enough():
    assert chosen([0.5, 0.1, 0.1], [0.49, 0.1, 0.1]) == [0, NONE]
    assert chosen([0.3, 0.1, 0.1], [0.29, 0.1, 0.1], threshold=0.3) == [0, NONE]


def test_an_impossible_action_is_never_chosen_and_gives_way_to_the_next():
    assert chosen([0.9, 0.6, 0.1], possible=[False, True, True]) == [1]
    assert chosen([0.9, 0.4, 0.1], possible=[False, True, True]) == [NONE]
    assert chosen([0.9, 0.9, 0.9], possible=[False] * 3) == [NONE]
    assert chosen([0.9, 0.9, 0.9], possible=[False] * 3, threshold=1e-9) == [NONE]


def test_no_frame_at_all_has_no_action():
    assert chosen() == []


THOUSANDTHS = st.integers(0, 1000).map(lambda number: number / 1000)
PROBABILITIES = st.lists(THOUSANDTHS, min_size=3, max_size=3)


@given(
    st.lists(PROBABILITIES, max_size=6),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.integers(1, 999).map(lambda number: number / 1000),
)
def test_choosing_is_what_one_would_do_frame_by_frame(rows, possible, threshold):
    result = chosen(*rows, possible=possible, threshold=threshold)
    for row, choice in zip(rows, result, strict=True):
        sure = [p for p, may in zip(row, possible, strict=True) if may]
        best = max(sure, default=-1.0)
        if best >= threshold:
            assert possible[choice]
            assert row[choice] == best
        else:
            assert choice == NO_ACTION


def test_bouts_of_a_scene_leave_its_first_class_out():
    probabilities = np.array([[0.25, 0.75], [0.0, 1.0], [0.75, 0.25], [0.5, 0.5]])
    names = ("background", "attack")
    bouts = find_bouts(np.array([1, 1, 0, 1]), probabilities, names, nothing=0)
    assert bouts == [
        Bout(0, 2, "attack", NO_ANIMAL, NO_ANIMAL, 0.875),
        Bout(3, 4, "attack", NO_ANIMAL, NO_ANIMAL, 0.5),
    ]


def test_bouts_of_a_view_name_its_animals():
    chosen = np.array([NO_ACTION, 0, 0, 1])
    bouts = find_bouts(
        chosen, np.ones((4, 2)), ("sniff", "rear"), nothing=NO_ACTION, agent=2, target=1
    )
    assert bouts == [Bout(1, 3, "sniff", 2, 1, 1.0), Bout(3, 4, "rear", 2, 1, 1.0)]
