import csv
import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mabe.bouts import Bout, RecordingBouts, label_runs
from mabe.cli.main import main
from mabe.errors import DataError
from mabe.io.submission import Severity, check_submission, review_submission
from mabe.io.submission.write import write_submission

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
HEADER = "row_id,video_id,agent_id,target_id,action,start_frame,stop_frame"
GOOD = "438887472,mouse1,mouse2,sniff,0,15"


def save(folder, *rows, header=HEADER):
    """Write rows that lack only their row_id, which counts from 0."""
    lines = [header, *(f"{number},{row}" for number, row in enumerate(rows))]
    path = folder / "submission.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def found(path, metadata=None):
    """Return (line, kind) of each problem."""
    return [(each.line, each.kind) for each in check_submission(path, metadata)]


def directed(*bouts, video="7", length=100):
    return RecordingBouts(lab="Lab", video=video, fps=30.0, length=length, bouts=bouts)


def attack(start, stop, *, agent=1, target=2):
    return Bout(start, stop, "attack", agent, target, 0.9)


# Writing


def test_a_submission_is_what_the_challenge_shows(tmp_path):
    path = tmp_path / "submission.csv"
    rear = Bout(3, 8, "rear", 2, 2, 0.7)

    rows = write_submission(path, [directed(attack(5, 20), rear, video="438887472")])

    assert rows == 2
    assert path.read_text() == (
        f"{HEADER}\n"
        "0,438887472,mouse2,self,rear,3,8\n"
        "1,438887472,mouse1,mouse2,attack,5,20\n"
    )


def test_bouts_end_with_the_video_and_those_after_it_are_dropped(tmp_path):
    path = tmp_path / "submission.csv"
    bouts = attack(10, 20), attack(95, 120), attack(100, 101), attack(99, 100)

    write_submission(path, [directed(*bouts, length=100)])

    spans = [tuple(line.split(",")[-2:]) for line in path.read_text().split()[1:]]
    assert spans == [("10", "20"), ("95", "100"), ("99", "100")]


def test_videos_are_in_the_order_of_their_numbers(tmp_path):
    path = tmp_path / "submission.csv"

    write_submission(
        path, [directed(attack(0, 1), video=each) for each in ("b", "1000", "999")]
    )

    videos = [line.split(",")[1] for line in path.read_text().split()[1:]]
    assert videos == ["999", "1000", "b"]


def test_a_predicted_bout_without_frames_cannot_be_made():
    with pytest.raises(ValueError, match="start < stop"):
        attack(5, 5)


views = st.tuples(st.integers(1, 4), st.integers(1, 4))
chosen = st.lists(st.integers(-1, 2), min_size=1, max_size=30)


@given(st.dictionaries(views, chosen, min_size=1))
@settings(max_examples=50)
def test_one_action_a_frame_for_each_pair_makes_a_valid_submission(
    tmp_path_factory, actions
):
    path = tmp_path_factory.mktemp("written") / "submission.csv"
    bouts = [
        Bout(int(start), int(stop), f"action{action}", agent, target, 1.0)
        for (agent, target), frames in actions.items()
        for start, stop, action in label_runs(np.array(frames))
        if action >= 0
    ]

    write_submission(path, [directed(*bouts)])
    review = review_submission(path)

    assert review.rows == len(bouts)
    assert [each.kind for each in review.problems] == ([] if bouts else ["empty"])


# Checking: the form of the file


def test_a_good_submission_has_no_problem(tmp_path):
    review = review_submission(save(tmp_path, GOOD, "12,mouse2,self,rear,3,9"))

    assert review.problems == ()
    assert (review.rows, review.videos) == (2, 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: re.sub(r"[^,\n]+", r'"\g<0>"', text),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\n\n"),
    ],
    ids=["byte order mark", "Windows", "quotes", "no last line end", "blank lines"],
)
def test_what_every_table_reader_takes_is_no_problem(tmp_path, change):
    path = save(tmp_path, GOOD, "12,mouse2,self,rear,3,9")
    path.write_text(change(path.read_text()), newline="")

    review = review_submission(path)

    assert (review.problems, review.rows, review.videos) == ((), 2, 2)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (None, "empty")),
        (b"\n \n", (None, "empty")),
        (HEADER.encode(), (None, "empty")),
        (f"{HEADER}\n0,{GOOD}".encode("utf-16"), (None, "encoding")),
        (
            f"{HEADER}\n0,{GOOD}\n1,1,mouse1,self,".encode() + b"\xe9,1,2",
            (3, "encoding"),
        ),
        (f"{HEADER}\n0,{GOOD}".replace(",", ";").encode(), (1, "columns")),
        (
            HEADER.replace("action", "label").encode() + b"\n0,1,a,b,c,1,2",
            (1, "columns"),
        ),
        (f"{HEADER},lab\n0,{GOOD},x".encode(), (1, "columns")),
        (f"{HEADER},action\n0,{GOOD},x".encode(), (1, "columns")),
        (f"0,{GOOD}\n1,{GOOD}\n".encode(), (1, "columns")),
    ],
    ids=[
        "empty",
        "blank",
        "no rows",
        "UTF-16",
        "Latin-1",
        "semicolons",
        "other column",
        "extra column",
        "column twice",
        "no header",
    ],
)
def test_a_file_of_another_form_is_not_valid(tmp_path, content, expected):
    path = tmp_path / "submission.csv"
    path.write_bytes(content)

    problems = check_submission(path)

    assert (problems[0].line, problems[0].kind) == expected
    assert problems[0].severity is Severity.ERROR


def test_columns_in_another_order_are_told_and_still_checked(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text(
        "row_id,video_id,target_id,agent_id,action,start_frame,stop_frame\n"
        "0,1,self,mouse1,rear,1,2\n"
        "1,1,mouse2,mouse9,rear,1,2\n"
    )
    assert found(path) == [(1, "columns"), (3, "agent_id")]


def test_without_row_ids_the_rest_is_still_checked(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text(f"{HEADER.removeprefix('row_id,')}\n{GOOD}\n1,mouse1,1,rear,1,2\n")

    assert found(path) == [(1, "columns"), (3, "target_id")]


def test_columns_of_any_name_beside_the_right_ones_do_not_hide_a_wrong_row(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text(
        f"line,{HEADER},line,start\nx,0,{GOOD.replace('mouse1', '1')},y,z\n"
    )

    assert found(path) == [(1, "columns"), (2, "agent_id")]


def test_a_file_without_line_ends_does_not_fill_the_screen(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_bytes(f"{HEADER}\r0,{GOOD}\r".encode() * 1000)

    assert all(len(each.message) < 500 for each in check_submission(path))
    assert found(path)[0] == (None, "empty")


def test_a_file_that_is_not_there_is_a_user_error(tmp_path):
    with pytest.raises(DataError, match=r"submission\.csv: cannot be read: No such"):
        check_submission(tmp_path / "submission.csv")


# Checking: single rows


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ("1.0,mouse1,mouse2,sniff,0,5", "video_id", "whole number"),
        ("1,1,mouse2,sniff,0,5", "agent_id", "mouse1 to mouse4, found '1'"),
        ("1,mouse5,mouse2,sniff,0,5", "agent_id", "found 'mouse5'"),
        ("1,self,mouse2,sniff,0,5", "agent_id", "found 'self'"),
        ("1,mouse1 ,mouse2,sniff,0,5", "agent_id", "found 'mouse1 '"),
        ("1,mouse1,mouse0,sniff,0,5", "target_id", "or self, found 'mouse0'"),
        ("1,mouse1,,sniff,0,5", "target_id", "found ''"),
        ("1,mouse1,mouse1,rear,0,5", "self", "has target_id self, found mouse1"),
        ("1,mouse1,mouse2,,0,5", "action", "found ''"),
        ("1,mouse1,mouse2, sniff,0,5", "action", "found ' sniff'"),
        ("1,mouse1,mouse2,sniff,0.0,5", "frame", "start_frame must be a whole"),
        ("1,mouse1,mouse2,sniff,0,", "frame", "stop_frame must be a whole"),
        ("1,mouse1,mouse2,sniff,0,99999999999999999999", "frame", "whole"),
        ("1,mouse1,mouse2,sniff,-3,5", "negative", "0 or more, found -3"),
        ("1,mouse1,mouse2,sniff,9,5", "order", "start_frame 9 is after stop_frame 5"),
        ("1,mouse1,mouse2,sniff,0", "fields", "expected 7 fields"),
        ("1,mouse1,mouse2,sniff,0,5,0.9", "fields", "found 8"),
    ],
)
def test_a_wrong_field_is_one_error_with_its_line(tmp_path, row, kind, words):
    (problem,) = check_submission(save(tmp_path, GOOD, row, "9,mouse1,self,rear,0,5"))

    assert (problem.line, problem.kind) == (3, kind)
    assert problem.severity is Severity.ERROR
    assert words in problem.message


@pytest.mark.parametrize(
    ("row_ids", "expected"),
    [
        ("0 1 2 3", []),
        ("1 2 3 4", [(2, "expected 0, found 1")]),
        ("0 1 3 4", [(4, "expected 2, found 3")]),
        ("0 x 2 3", [(3, "found 'x'")]),
        ("0 1 1 3", [(4, "that of line 3 too")]),
        ("3 2 1 0", [(line, "expected") for line in (2, 3, 4, 5)]),
    ],
)
def test_row_ids_count_from_zero(tmp_path, row_ids, expected):
    path = tmp_path / "submission.csv"
    rows = [
        f"{row_id},{place},mouse1,self,rear,0,5"
        for place, row_id in enumerate(row_ids.split())
    ]
    path.write_text("\n".join([HEADER, *rows]))

    problems = check_submission(path)

    assert [each.line for each in problems] == [line for line, _ in expected]
    for problem, (_, words) in zip(problems, expected, strict=True):
        assert words in problem.message


def test_a_bout_without_a_frame_and_a_repeated_bout_are_warnings(tmp_path):
    path = save(tmp_path, GOOD, "1,mouse1,self,rear,5,5", GOOD)

    problems = check_submission(path)

    assert found(path) == [(3, "no frame"), (4, "duplicate")]
    assert {each.severity for each in problems} == {Severity.WARNING}
    assert "line 2" in problems[1].message


def test_every_problem_is_told_not_only_the_first(tmp_path):
    path = save(
        tmp_path,
        "1,mouse7,mouse2,sniff,0,5",
        GOOD,
        "one,mouse1,3,,4,x",
        "1,mouse1,self,rear,7,6",
        "1,mouse1,self",
    )
    assert found(path) == [
        (2, "agent_id"),
        (4, "target_id"),
        (4, "action"),
        (4, "frame"),
        (4, "video_id"),
        (5, "order"),
        (6, "fields"),
    ]


# Checking: one action of a pair in a frame


def test_two_actions_in_one_frame_name_both_lines(tmp_path):
    path = save(
        tmp_path, "1,mouse1,mouse2,attack,10,30", GOOD, "1,mouse1,mouse2,sniff,29,40"
    )

    (problem,) = check_submission(path)

    assert problem.line == 4
    assert "frame 29 of video 1" in problem.message
    assert "within attack (line 2, up to frame 30)" in problem.message


@pytest.mark.parametrize(
    "row",
    [
        "1,mouse1,mouse2,sniff,30,40",
        "1,mouse1,mouse2,attack,20,40",
        "1,mouse1,mouse3,sniff,20,40",
        "1,mouse1,self,sniff,20,40",
        "1,mouse2,mouse1,sniff,20,40",
        "2,mouse1,mouse2,sniff,20,40",
        "1,mouse1,mouse2,sniff,20,20",
    ],
    ids=["after", "same action", "target", "self", "agent", "video", "no frame"],
)
def test_nothing_else_is_an_overlap(tmp_path, row):
    path = save(tmp_path, "1,mouse1,mouse2,attack,10,30", row)

    assert "overlap" not in {each.kind for each in check_submission(path)}


rows_of_bouts = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 30),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=12,
)


@given(rows_of_bouts)
@example([(1, "a", 0, 40), (1, "b", 5, 30), (1, "c", 10, 2), (1, "a", 20, 5)])
@settings(max_examples=200)
def test_overlaps_are_those_that_an_obvious_loop_finds(tmp_path_factory, bouts):
    folder = tmp_path_factory.mktemp("overlaps")
    path = save(
        folder,
        *(
            f"{video},mouse1,self,{action},{start},{start + frames}"
            for video, action, start, frames in bouts
        ),
    )
    later = set()
    rows = sorted(
        (video, start, start + frames, line, action)
        for line, (video, action, start, frames) in enumerate(bouts, start=2)
    )
    for place, (video, start, stop, line, action) in enumerate(rows):
        for other_video, other_start, other_stop, _, other_action in rows[:place]:
            shared = set(range(start, stop)) & set(range(other_start, other_stop))
            if shared and video == other_video and action != other_action:
                later.add(line)

    reported = [each.line for each in check_submission(path) if each.kind == "overlap"]

    assert reported == sorted(later)


# Checking: against the metadata


def write_metadata(folder, *, name="test", **changes):
    """Write a table of one video of two mice, 100 s at 30 fps."""
    row = {
        "lab_id": "Lab",
        "video_id": "1",
        "mouse1_id": "10.0",
        "mouse2_id": "11.0",
        "mouse3_id": "",
        "frames_per_second": "30.0",
        "video_duration_sec": "100.0",
        "pix_per_cm_approx": "10.0",
        "behaviors_labeled": '["mouse1,mouse2,sniff", "mouse1,self,rear"]',
    } | changes
    path = folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    return path


@pytest.mark.parametrize(
    ("row", "kind", "severity"),
    [
        ("2,mouse1,mouse2,sniff,0,5", "unknown video", "error"),
        ("01,mouse1,mouse2,sniff,0,5", "unknown video", "error"),
        ("1.0,mouse1,mouse2,sniff,0,5", "video_id", "error"),
        ("1,mouse3,mouse2,sniff,0,5", "unknown animal", "error"),
        ("1,mouse1,mouse4,sniff,0,5", "unknown animal", "error"),
        ("1,mouse1,mouse2,attack,0,5", "unwatched", "warning"),
        ("1,mouse2,mouse1,sniff,0,5", "unwatched", "warning"),
        ("1,mouse2,self,rear,0,5", "unwatched", "warning"),
        ("1,mouse1,self,sniff,0,5", "unwatched", "warning"),
        ("1,mouse1,mouse2,sniff,0,3901", "past the end", "warning"),
    ],
)
def test_what_does_not_fit_the_metadata_is_told(tmp_path, row, kind, severity):
    metadata = write_metadata(tmp_path)
    path = save(tmp_path, "1,mouse1,self,rear,0,3001", row)

    (problem,) = check_submission(path, metadata)

    assert (problem.line, problem.kind, problem.severity) == (3, kind, severity)


def test_an_animal_is_there_when_the_metadata_describe_or_watch_it(tmp_path):
    metadata = write_metadata(
        tmp_path, mouse3_id="12.0", behaviors_labeled='["mouse4,self,rear"]'
    )
    path = save(tmp_path, "1,mouse3,self,rear,0,5", "1,mouse4,self,rear,0,5")

    assert found(path, metadata) == [(2, "unwatched")]


def test_where_the_metadata_say_nothing_nothing_is_held_against_a_row(tmp_path):
    metadata = write_metadata(
        tmp_path,
        mouse1_id="",
        mouse2_id="",
        video_duration_sec="",
        behaviors_labeled="",
        video_id="a name",
    )
    path = save(tmp_path, "a name,mouse4,mouse3,attack,0,99999")

    assert check_submission(path, metadata) == ()


def test_an_action_that_the_host_leaves_out_overlaps_with_nothing(tmp_path):
    metadata = write_metadata(tmp_path)
    path = save(tmp_path, "1,mouse1,mouse2,sniff,0,5", "1,mouse1,mouse2,attack,0,5")

    assert found(path) == [(3, "overlap")]
    assert found(path, metadata) == [(3, "unwatched")]


def test_of_a_folder_both_tables_count_and_of_a_table_only_itself(tmp_path):
    test = write_metadata(tmp_path, name="test", video_id="1")
    write_metadata(tmp_path, name="train", video_id="2")
    path = save(tmp_path, "1,mouse1,self,rear,0,5", "2,mouse1,self,rear,0,5")

    assert found(path, tmp_path) == []
    assert found(path, test) == [(3, "unknown video")]


def test_videos_of_two_labs_with_one_number_are_told_apart_by_nobody(tmp_path):
    rear, sniff = '["mouse1,self,rear"]', '["mouse1,mouse2,sniff"]'
    write_metadata(tmp_path, name="test", behaviors_labeled=rear)
    write_metadata(tmp_path, name="train", lab_id="B", behaviors_labeled=sniff)
    path = save(tmp_path, "1,mouse1,self,rear,0,5", "1,mouse1,mouse2,sniff,0,5")

    assert found(path, tmp_path) == []


@pytest.mark.parametrize("metadata", ["nowhere", "nowhere.csv"])
def test_absent_metadata_are_a_user_error(tmp_path, metadata):
    with pytest.raises(DataError, match="nowhere"):
        check_submission(save(tmp_path, GOOD), tmp_path / metadata)


# The command


def test_the_command_says_that_a_file_is_valid(tmp_path, capsys):
    path = save(tmp_path, GOOD, "12,mouse1,self,rear,4,4")

    assert main(["check-submission", str(path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{path}:3: warning: ")
    assert shown[1:] == [f"✓ {path}: valid, 2 rows, 2 videos, 1 warning"]


def test_the_command_lists_twenty_of_a_kind_and_counts_the_rest(tmp_path, capsys):
    path = save(tmp_path, *[GOOD.replace("mouse1", "1")] * 23, "1,mouse1,self,,0,5")

    assert main(["check-submission", str(path)]) == 1
    shown = capsys.readouterr()
    errors = [line for line in shown.out.splitlines() if ": error: " in line]
    assert len(errors) == 20 + 1
    assert "… and 3 more of this kind (agent_id)" in shown.out
    assert "✓" not in shown.out
    last = shown.out.splitlines()[-1]
    assert last == f"✗ {path}: not valid, 24 errors in 24 rows"
    assert shown.err == ""


def test_the_command_gives_all_as_json(tmp_path, capsys):
    path = save(tmp_path, *[GOOD.replace("mouse1", "1")] * 23)
    out = tmp_path / "problems.json"

    assert main(["check-submission", str(path), "--json", "--out", str(out)]) == 1

    review = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()).items() <= review.items()
    assert (review["valid"], review["rows"], review["errors"]) == (False, 23, 23)
    assert review["problems"][0] == {
        "line": 2,
        "message": "agent_id must be mouse1 to mouse4, found '1'",
        "kind": "agent_id",
        "severity": "error",
    }


def test_the_command_takes_metadata(tmp_path, capsys):
    metadata = write_metadata(tmp_path)
    path = save(tmp_path, GOOD)

    assert main(["check-submission", str(path), "--data", str(metadata)]) == 1
    assert "video 438887472 is not in the metadata" in capsys.readouterr().out


# Oracles


def metric_cases():
    path = DATA / "metric_cases.json.gz"
    if not path.is_file():
        pytest.skip(f"no metric cases at {path}; set MABE_DATA")
    with gzip.open(path) as file:
        return json.load(file)


def write_case(case, folder):
    """Write a case's submission, without what the host never sees, and metadata."""
    solution = pl.DataFrame(case["solution"])
    submission = pl.DataFrame(case["submission"]).with_row_index("row_id")
    scored = submission.filter(
        pl.col("video_id").is_in(solution["video_id"].unique().to_list())
    )
    scored.select(HEADER.split(",")).write_csv(folder / "submission.csv")
    first = solution.unique("video_id", keep="first", maintain_order=True)
    first.select(
        "lab_id",
        "video_id",
        "behaviors_labeled",
        frames_per_second=pl.lit(30.0),
        pix_per_cm_approx=pl.lit(10.0),
    ).write_csv(folder / "test.csv")


def test_an_overlap_is_found_where_and_only_where_the_host_raises_one(tmp_path):
    cases = metric_cases()
    raised, overlapping = [], []
    for number, case in enumerate(cases):
        write_case(case, tmp_path)
        kinds = {
            kind
            for _, kind in found(tmp_path / "submission.csv", tmp_path / "test.csv")
        }
        if case["expected"].get("error") == "HostVisibleError":
            raised.append(number)
        if "overlap" in kinds:
            overlapping.append(number)

    assert raised
    assert overlapping == raised


def test_people_s_own_labels_of_the_challenge_make_a_valid_submission(tmp_path):
    data = DATA / "mabe2025"
    if not data.is_dir():
        pytest.skip(f"no labels of the challenge at {data}; set MABE_DATA")
    known = set(pl.read_csv(data / "train.csv", columns=["video_id"])["video_id"])
    videos = [
        directed(*read_labels(path), video=path.stem, length=10**6)
        for path in sorted((data / "train_annotation").glob("*/*.parquet"))
        if int(path.stem) in known
    ]

    write_submission(tmp_path / "submission.csv", videos)
    review = review_submission(tmp_path / "submission.csv", data / "train.csv")

    assert review.errors == 0
    assert review.rows == sum(len(video.bouts) for video in videos)
    assert review.videos == len(videos)


def read_labels(path):
    """Return people's bouts as if they had been predicted; some have no frame."""
    columns = ("start_frame", "stop_frame", "action", "agent_id", "target_id")
    return tuple(
        Bout(start, stop, action, agent, target, 1.0)
        for start, stop, action, agent, target in pl.read_parquet(path)
        .select(columns)
        .iter_rows()
        if start < stop
    )
