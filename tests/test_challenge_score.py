import gzip
import json
import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from score_stories import PAIR, obvious_score, said, seen, tables

from mabe.errors import MabeError
from mabe.metrics import HostVisibleError, challenge_table, mabe_f_score
from mabe.metrics.challenge_tables import MOST_FRAMES

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
CASES = DATA / "metric_cases.json.gz"
LABELS = DATA / "mabe2025"


def score(solution, submission, **options):
    return mabe_f_score(*tables(solution, submission), **options)


def test_a_perfect_submission_scores_one_and_half_of_it_two_thirds():
    assert score(seen((0, 10)), said((0, 10))) == 1.0
    assert score(seen((0, 10)), said((0, 5))) == pytest.approx(2 / 3)
    assert score(seen((0, 10)), said((10, 20))) == 0.0  # stop is no frame of a bout


def test_f_is_taken_over_pooled_frames_then_over_actions_then_over_labs():
    solution = [
        *seen((0, 10), video=1),
        *seen((0, 30), video=2),  # chase: 30 of 40 frames found, F = 6/7
        *seen((50, 60, "attack"), video=2),  # attack: not found, F = 0
        *seen((0, 10), video=3, lab="Other"),  # F = 1
    ]
    submission = [*said((0, 30), video=2), *said((0, 10), video=3)]
    assert score(solution, submission) == pytest.approx((6 / 7 / 2 + 1) / 2)


def test_beta_weighs_recall():
    solution, submission = seen((0, 10)), said((0, 5))  # precision 1, recall 1/2
    assert score(solution, submission, beta=2) == pytest.approx(5 * 5 / (5 * 5 + 4 * 5))
    assert score(solution, submission, beta=0) == 1.0
    with pytest.raises(ZeroDivisionError, match="attack was never predicted"):
        score(seen((0, 10), (20, 30, "attack")), submission, beta=0)


def test_repeats_and_overlaps_of_one_action_are_one_set_of_frames():
    assert score(seen((0, 10), (5, 15), (0, 10)), said((0, 15))) == 1.0
    assert score(seen((0, 15)), said((0, 10), (5, 15), (0, 10), (3, 3))) == 1.0


def test_what_was_watched_is_what_the_first_row_of_a_video_lists():
    chase, attack = ([f"mouse1,mouse2,{action}"] for action in ("chase", "attack"))
    first, later = seen((0, 10), listed=chase), seen((20, 30, "attack"), listed=attack)
    submission = said((0, 10), (20, 30, "attack"))
    assert score([*first, *later], submission) == pytest.approx((1 + 0) / 2)
    assert score([*later, *first], submission) == pytest.approx((0 + 1) / 2)


def test_lists_are_read_letter_by_letter():
    assert score(seen((0, 10), listed=["mouse1, mouse2,chase"]), said((0, 10))) == 0
    assert (
        score(seen((0, 10), listed=["'mouse1','mouse2','chase'"]), said((0, 10))) == 0
    )
    assert score(seen((0, 10), listed="[]"), said((0, 10))) == 0


def test_a_watched_action_that_nobody_labelled_adds_a_zero_even_if_it_is_empty():
    solution = seen((0, 10))
    assert score(solution, said((0, 10), (50, 60, "attack"))) == pytest.approx(1 / 2)
    assert score(solution, said((0, 10), (50, 50, "attack"))) == pytest.approx(1 / 2)
    assert score(solution, said((0, 10), (50, 60, "sniff"))) == 1.0  # not watched


def test_an_action_with_labels_of_zero_length_alone_adds_a_zero():
    assert score(seen((0, 10), (7, 7, "attack")), said((0, 10))) == pytest.approx(1 / 2)


def test_videos_without_a_row_in_the_solution_are_free():
    solution = seen((0, 10), video=1)
    assert score(solution, [*said((0, 10), video=1), *said((0, 999), video=2)]) == 1.0
    assert score(solution, said((0, 10), video=2)) == 0.0


def test_a_video_that_two_labs_share_counts_in_both():
    solution = [*seen((0, 10)), *seen((0, 30), lab="Other")]
    assert score(solution, said((0, 10))) == pytest.approx((1 + 1 / 2) / 2)


def test_an_action_is_what_stands_after_the_last_underscore():
    listed = [*PAIR, "mouse1,mouse2,fast_chase"]
    solution = seen((0, 10), (20, 30, "fast_chase"), listed=listed)
    assert score(solution, said((0, 10))) == pytest.approx(2 / 3)  # one action, pooled
    with pytest.raises(HostVisibleError):  # but two when they meet
        score(solution, said((0, 10), (9, 30, "fast_chase")))


def test_two_actions_of_a_pair_in_one_frame_are_refused_with_the_place():
    submission = said((0, 10), (8, 20, "attack"), video=7)
    with pytest.raises(HostVisibleError) as refusal:
        score(seen((0, 10), video=7), submission)
    for part in ("video 7", "mouse1 to mouse2", "frames 8 to 9", "chase", "attack"):
        assert part in str(refusal.value)
    assert isinstance(refusal.value, MabeError)


def test_two_actions_meet_however_many_bouts_lie_between_their_starts():
    short = [(start, start + 2) for start in range(10, 90, 4)]
    with pytest.raises(HostVisibleError, match="frames 10 to 11"):
        score(seen((0, 10)), said((0, 100, "attack"), *short))


def test_what_meets_without_being_one_pair_and_one_frame_is_allowed():
    listed = [*PAIR, "mouse1,mouse3,attack", "mouse2,mouse1,attack"]
    listed += ["mouse1,mouse1,attack"]
    at_once = [
        *said((0, 10)),
        *said((0, 10, "rear"), target="self"),
        *said((0, 10, "attack"), target="mouse1"),
        *said((0, 10, "attack"), target="mouse3"),
        *said((0, 10, "attack"), agent="mouse2", target="mouse1"),
        *said((10, 20, "attack")),
        *said((5, 5, "attack")),
        *said((0, 10, "sniff")),  # not watched
        *said((0, 10, "attack"), video=2),  # unknown video
    ]
    labels = [row | {"lab_id": "Lab"} for row in at_once if row["video_id"] == 1]
    solution = [row | {"behaviors_labeled": json.dumps(listed)} for row in labels]
    assert score(solution, at_once) == pytest.approx(3 / 4)  # all but sniff


def test_frames_are_not_clipped_to_the_video():
    assert score(seen((-5, 5)), said((-5, 5))) == 1.0
    assert score(seen((0, 10)), said((-10, 10))) == pytest.approx(2 / 3)


def test_ids_and_frames_may_be_of_any_kind():
    solution, submission = tables(seen((0, 10)), said((0, 10)))
    narrow = [pl.col("start_frame", "stop_frame").cast(pl.Int16)]
    for video in (pl.String, pl.Int8, pl.UInt64, pl.Float64, pl.Categorical):
        odd = submission.with_columns(pl.col("video_id").cast(pl.String).cast(video))
        assert mabe_f_score(solution, odd.with_columns(narrow)) == 1.0
    assert mabe_f_score(solution.lazy(), submission.to_arrow()) == 1.0
    assert mabe_f_score(solution.to_dict(as_series=False), submission.to_dicts()) == 1.0


def test_animals_may_be_numbers_if_the_list_says_so():
    solution = seen((0, 10), agent=1, target=2, listed=["1,2,chase"], lab=5)
    assert score(solution, said((0, 10), agent=1, target=2)) == 1.0
    assert score(solution, said((0, 10))) == 0.0


def test_frames_of_pandas_are_taken():
    pandas = pytest.importorskip("pandas")
    solution, submission = seen((0, 10), (20, 30)), said((0, 10))
    kept = pandas.DataFrame(solution)[1:]  # its index does not start at 0
    assert mabe_f_score(kept, pandas.DataFrame(submission)) == 0.0
    assert mabe_f_score(pandas.DataFrame(solution), kept) == pytest.approx(2 / 3)
    with pytest.raises(TypeError, match="behaviors_labeled"):
        mabe_f_score(kept.assign(behaviors_labeled=float("nan")), kept)


def without(rows, column):
    return [{name: row[name] for name in row if name != column} for row in rows]


def changed(rows, **cells):
    return [row | cells for row in rows]


SOLUTION, SUBMISSION = seen((0, 10)), said((0, 10))
FAULTS = [
    (ValueError, "solution: expected", [], SUBMISSION),
    (ValueError, "submission: expected", SOLUTION, []),
    (ValueError, "action", without(SOLUTION, "action"), SUBMISSION),
    (ValueError, "stop_frame", SOLUTION, without(SUBMISSION, "stop_frame")),
    (
        pl.exceptions.ColumnNotFoundError,
        "lab_id",
        without(SOLUTION, "lab_id"),
        SUBMISSION,
    ),
    (
        pl.exceptions.ColumnNotFoundError,
        "behaviors_labeled",
        without(SOLUTION, "behaviors_labeled"),
        SUBMISSION,
    ),
    (AssertionError, "row 1.* found 9 and 8", SOLUTION, said((0, 1), (9, 8))),
    (AssertionError, "solution: row 0", seen((9, 8)), SUBMISSION),
    (AssertionError, "found 9 and 8", SOLUTION, said((9, 8), video=404)),
    (TypeError, "start_frame", SOLUTION, changed(SUBMISSION, start_frame=0.0)),
    (TypeError, "start_frame", SOLUTION, changed(SUBMISSION, start_frame="0")),
    (TypeError, "stop_frame is empty", SOLUTION, said((0, 1), (0, None))),
    (TypeError, "action is empty", SOLUTION, [*SUBMISSION, said((0, 1, None))[0]]),
    (TypeError, "lab_id is empty", [*SOLUTION, *seen((0, 1), lab=None)], SUBMISSION),
    (TypeError, "found None", changed(SOLUTION, behaviors_labeled=None), SUBMISSION),
    (ValueError, "JSON list", seen((0, 10), listed="['mouse1"), SUBMISSION),
    (ValueError, "JSON list", seen((0, 10), listed="5"), SUBMISSION),
    (ValueError, "broken", SOLUTION, said((0, 2 * MOST_FRAMES))),
]


@pytest.mark.parametrize(("kind", "part", "solution", "submission"), FAULTS)
def test_what_cannot_be_scored_is_refused_in_one_line_of_the_right_kind(
    kind, part, solution, submission
):
    with pytest.raises(kind, match=part) as refusal:
        score(solution, submission)
    assert isinstance(refusal.value, MabeError)
    assert "\n" not in str(refusal.value)


def test_only_the_first_list_of_a_video_has_to_be_readable():
    broken = changed(seen((10, 20)), behaviors_labeled=None)
    assert score([*seen((0, 10)), *broken], said((0, 20))) == 1.0


def bouts(actions, videos):
    spans = st.tuples(st.integers(-3, 12), st.integers(0, 6))
    return st.builds(
        lambda span, video, agent, target, action: said(
            (span[0], span[0] + span[1]),
            video=video,
            agent=agent,
            target=target,
            action=action,
        )[0],
        spans,
        st.integers(1, videos),
        st.sampled_from(["mouse1", "mouse2"]),
        st.sampled_from(["mouse1", "mouse2", "self"]),
        st.sampled_from(actions),
    )


LISTS = st.lists(
    st.sampled_from(
        [
            f"mouse{agent},{target},{action}"
            for agent in (1, 2)
            for target in ("mouse1", "mouse2", "self")
            for action in ("chase", "attack", "rear")
        ]
    ),
    min_size=6,
)


@st.composite
def solutions(draw):
    return [
        bout
        | {
            "lab_id": draw(st.sampled_from(["A", "B"])),
            "behaviors_labeled": json.dumps(draw(LISTS)),
        }
        for bout in draw(st.lists(bouts(["chase", "attack"], 3), min_size=1))
    ]


SUBMISSIONS = st.lists(bouts(["chase", "chase", "attack", "rear"], 4), min_size=1)


@settings(max_examples=200)
@given(solutions(), SUBMISSIONS, st.sampled_from([0.5, 1.0, 2.0]))
def test_it_agrees_with_sets_of_frames(solution, submission, beta):
    expected = obvious_score(solution, submission, beta)
    if expected is None:
        with pytest.raises(HostVisibleError):
            score(solution, submission, beta=beta)
    else:
        assert score(solution, submission, beta=beta) == pytest.approx(
            expected, abs=1e-12
        )


@given(solutions(), SUBMISSIONS, st.randoms())
def test_the_order_of_a_submission_does_not_matter(solution, submission, random):
    assume(obvious_score(solution, submission) is not None)
    shuffled = random.sample(submission, len(submission))
    assert score(solution, shuffled) == score(solution, submission)


def test_the_table_shows_what_the_score_is_made_of():
    solution = seen((0, 10), (10, 20), (30, 40))
    table = challenge_table(
        *tables(solution, said((0, 10), (32, 42), (50, 60, "attack")))
    )
    attack, chase = table.actions
    assert (chase.label_frames, chase.predicted_frames, chase.hit_frames) == (
        30,
        20,
        18,
    )
    assert (chase.missed_frames, chase.wrong_frames) == (12, 2)
    assert (chase.precision, chase.recall) == (18 / 20, 18 / 30)
    assert (chase.label_bouts, chase.predicted_bouts) == (2, 2)  # touching are one
    assert chase.hit_bouts == 1  # (0, 10) is half of (0, 20), not more
    assert (attack.in_mean, attack.f1) == (True, 0)
    assert table.f_score() == table.labs[0].f_score() == chase.f1 / 2
    assert table.to_frame()["f1"].mean() == pytest.approx(table.f_score())


@pytest.mark.skipif(not CASES.is_file(), reason=f"no {CASES}; set MABE_DATA")
def test_the_organisers_scorer_agrees_on_every_case():
    cases = json.loads(gzip.decompress(CASES.read_bytes()))
    assert len(cases) == 300
    for case in cases:
        expected = case["expected"]
        try:
            found = {"score": score(case["solution"], case["submission"])}
        except MabeError as error:
            found = {"error": type(error).__name__}
        if "error" in expected:
            assert found == {"error": expected["error"]}
        else:
            assert found["score"] == pytest.approx(expected["score"], abs=1e-12, rel=0)


@pytest.mark.skipif(not LABELS.is_dir(), reason=f"no {LABELS}; set MABE_DATA")
def test_the_real_annotations_scored_against_themselves_give_exactly_one():
    parts = []
    table = pl.read_csv(LABELS / "train.csv", infer_schema=False)
    for lab, video, listed in table.select(
        "lab_id", "video_id", "behaviors_labeled"
    ).iter_rows():
        path = LABELS / "train_annotation" / lab / f"{video}.parquet"
        if path.is_file():
            part = pl.read_parquet(path).with_columns(
                pl.col("start_frame", "stop_frame").cast(pl.Int64),
                lab_id=pl.lit(lab),
                video_id=pl.lit(video),
                behaviors_labeled=pl.lit(listed),
            )
            parts.append(part)
    mouse = pl.format("mouse{}", pl.col("target_id"))
    is_self = pl.col("agent_id") == pl.col("target_id")
    solution = pl.concat(parts).with_columns(
        agent_id=pl.format("mouse{}", "agent_id"),
        target_id=pl.when(is_self).then(pl.lit("self")).otherwise(mouse),
    )
    assert (len(parts), len(solution)) == (846, 83_591)
    found = challenge_table(solution, solution)
    assert found.f_score() == 1.0
    assert found.notes == ()
    assert len(found.labs) == 19
