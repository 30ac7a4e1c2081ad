import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from score_stories import PAIR, obvious_score, said, seen, tables

from mabe.bouts import Watched
from mabe.metrics import (
    HostVisibleError,
    challenge_table,
    mabe_f_score,
    score_table,
    strict_f_score,
    watched_table,
)
from mabe.recording import VideoInfo


def strict(solution, submission, **options):
    return strict_f_score(*tables(solution, submission), **options)


def watch(video, *entries, lab="Lab"):
    names = ("agent_id", "target_id", "action")
    return [
        {"lab_id": lab, "video_id": video}
        | dict(zip(names, entry.split(","), strict=True))
        for entry in entries or PAIR
    ]


def test_marking_a_watched_video_in_which_nothing_happened_costs_precision():
    solution = seen((0, 10), video=1)
    submission = [*said((0, 10), video=1), *said((0, 10), video=2)]
    assert mabe_f_score(*tables(solution, submission)) == 1.0
    assert strict(solution, submission) == 1.0  # it cannot know
    watched = [*watch(1), *watch(2)]
    assert strict(solution, submission, watched=watched) == pytest.approx(2 / 3)
    other_lab = [*watch(1), *watch(2, lab="Other")]
    assert strict(solution, submission, watched=other_lab) == 1.0


def test_a_wrong_guess_adds_no_action_and_leaves_the_mean_alone():
    solution, submission = seen((0, 10)), said((0, 10), (50, 60, "attack"))
    assert mabe_f_score(*tables(solution, submission)) == pytest.approx(1 / 2)
    assert strict(solution, submission) == 1.0
    attack, chase = score_table(*tables(solution, submission)).actions
    assert (attack.action, attack.in_mean, attack.wrong_frames) == ("attack", False, 10)
    assert math.isnan(attack.f1)
    assert chase.f1 == 1


def test_a_label_of_zero_length_is_no_occurrence():
    assert strict(seen((0, 10), (7, 7, "attack")), said((0, 10))) == 1.0


def test_a_solution_in_which_nothing_happens_has_no_score():
    assert math.isnan(strict(seen((7, 7)), said((0, 10))))


def test_a_lab_in_which_nothing_happens_is_no_part_of_the_mean():
    solution = [*seen((0, 10)), *seen((7, 7), video=2, lab="Other")]
    assert strict(solution, [*said((0, 10)), *said((0, 10), video=2)]) == 1.0


def test_every_list_of_a_video_counts_without_stray_quotes_and_spaces():
    quoted, spaced = ["'mouse1','mouse2','chase'"], [" mouse1, mouse2 ,look around"]
    solution = [
        *seen((0, 10), (20, 30, "look around"), video=1),
        *seen((0, 10, "rear"), video=2, listed=quoted),
        *seen((0, 10, "rear"), video=2, listed=spaced),
    ]
    right = said((0, 10), (20, 30, "look around"), video=1)
    wrong = said((0, 10), (20, 30, "look around"), video=2)
    found = strict(solution, [*right, *wrong])
    assert found == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    # The challenge takes neither for watched, nor what is labelled beside the list.
    assert mabe_f_score(*tables(solution, [*right, *wrong])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("listed", ["[]", "", "nan"])
def test_what_is_labelled_was_watched_whatever_the_list_says(listed):
    assert strict(seen((0, 10), listed=listed), said((0, 10))) == 1.0


def test_a_solution_without_lists_is_scored_by_what_is_given_as_watched():
    solution, submission = tables(seen((0, 10)), said((0, 10), (20, 30, "attack")))
    bare = solution.drop("behaviors_labeled")
    table = score_table(bare, submission, watch(1))
    assert [row.action for row in table.actions] == ["attack", "chase"]
    assert table.f_score() == 1.0
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="behaviors_labeled"):
        score_table(bare, submission)


def test_a_whole_name_is_an_action():
    solution = seen((0, 10), (20, 30, "fast_chase"))
    assert strict(solution, said((0, 10))) == pytest.approx((1 + 0) / 2)


def test_two_actions_at_once_are_refused_here_too():
    watched = [*watch(1), *watch(2)]
    submission = [*said((0, 10)), *said((0, 10), (9, 12, "attack"), video=2)]
    with pytest.raises(HostVisibleError, match=r"video 2.*frame 9 has"):
        strict(seen((0, 10)), submission, watched=watched)


def test_the_table_says_what_was_not_counted():
    submission = [
        *said((0, 10), (10, 20, "sniff"), (30, 40, "sniff")),
        *said((0, 1), video=9),
    ]
    unknown, unwatched = score_table(*tables(seen((0, 10)), submission)).notes
    assert "solution does not have: 1, not counted" in unknown
    assert "the first is in 9" in unknown
    assert "unwatched actions: 2, not counted" in unwatched
    assert "mouse1,mouse2,sniff in video 1" in unwatched


def test_what_counts_in_one_of_two_labs_is_not_called_uncounted():
    solution = [*seen((0, 10)), *seen((0, 10, "rear"), lab="Other", listed="[]")]
    assert score_table(*tables(solution, said((0, 10)))).notes == ()


def test_bouts_are_matched_where_they_overlap_by_more_than_half_of_their_union():
    solution = seen((0, 10), (20, 30), (40, 50))
    submission = said((1, 10), (20, 25), (43, 50), (60, 61))
    (lab,) = score_table(*tables(solution, submission)).labs
    (chase,) = lab.actions
    assert (chase.label_bouts, chase.predicted_bouts, chase.hit_bouts) == (3, 4, 2)
    assert lab.bout_f1 == chase.bout_f1 == pytest.approx(2 * 2 / 7)


def test_what_was_watched_is_told_in_the_names_of_the_challenge():
    info = VideoInfo(
        lab="Lab",
        video="7",
        fps=30,
        pixels_per_cm=10,
        watched=(Watched(1, 1, "rear"), Watched(1, 2, "chase")),
        has_labels=True,
        tracking_path=Path("7.parquet"),
        annotation_path=None,
    )
    assert watched_table([info]).rows() == [
        ("Lab", "7", "mouse1", "self", "rear"),
        ("Lab", "7", "mouse1", "mouse2", "chase"),
    ]
    assert watched_table([]).is_empty()


ROWS = st.lists(
    st.tuples(
        st.integers(0, 15), st.integers(1, 6), st.sampled_from(["chase", "attack"])
    ).map(lambda row: (row[0], row[0] + row[1], row[2])),
    min_size=1,
)


@settings(max_examples=40)
@given(ROWS, ROWS)
def test_where_labels_and_guesses_are_of_the_same_actions_both_scores_agree(
    labels, guesses
):
    assume({row[2] for row in guesses} <= {row[2] for row in labels})
    solution, submission = seen(*labels), said(*guesses)
    assume(obvious_score(solution, submission) is not None)
    both = tables(solution, submission)
    assert strict_f_score(*both) == mabe_f_score(*both)
    assert score_table(*both) == challenge_table(*both)
    assert strict_f_score(*both, watched=watch(1)) == mabe_f_score(*both)
    twice = pl.DataFrame([*submission, *said((0, 9), video=2)])
    fooled = strict_f_score(both[0], twice, watched=[*watch(1), *watch(2)])
    assert fooled <= mabe_f_score(both[0], twice)
