import json
import subprocess
import sys

import polars as pl
import pytest
from kaggle_files import write_index
from score_stories import PAIR, said, seen

from mabe.cli.main import main


@pytest.fixture
def run(tmp_path, capsys):
    """Score rows from files; give the exit code, what is printed, and the complaint."""

    def score(solution, submission, *options):
        paths = [tmp_path / "solution.csv", tmp_path / "submission.csv"]
        for rows, path in zip((solution, submission), paths, strict=True):
            table = pl.DataFrame(rows) if isinstance(rows, list) else rows
            table.with_row_index("row_id").write_csv(path)
        code = main(["score", *map(str, paths), *map(str, options)])
        return code, *capsys.readouterr()

    return score


HALF = seen((0, 10)), said((0, 5))


def test_the_score_is_printed_with_six_digits(run):
    code, text, _ = run(*HALF)
    assert code == 0
    assert text == "score   0.666667   labs: 1, actions: 1\n"


def test_strict_adds_its_score_and_says_what_it_could_not_count(run):
    _, text, _ = run(HALF[0], said((0, 5), (7, 8, "attack")), "--strict")
    challenge, strict, _, note = text.splitlines()
    assert challenge.startswith("score   0.333333")
    assert strict.startswith("strict  0.666667")
    assert "--metadata train.csv" in note


def test_metadata_tell_what_was_watched_where_nothing_happened(run, tmp_path):
    listed = json.dumps(PAIR)
    rows = [
        {"video_id": str(video), "behaviors_labeled": listed} for video in (1, 2, 3)
    ]
    train = write_index(tmp_path, *rows)
    submission = [*said((0, 10)), *said((0, 20), video=2)]
    _, text, _ = run(seen((0, 10)), submission, "--metadata", train)
    challenge, strict, _, note = text.splitlines()
    assert challenge.startswith("score   1.000000")
    assert strict.startswith("strict  0.500000")
    assert "without a label: 2, 1 of them with predictions" in note


def test_per_lab_shows_each_action_with_frames_and_bouts(run):
    solution = [*seen((0, 1000), (1500, 2500)), *seen((0, 9), lab="Other", video=2)]
    _, text, _ = run(solution, said((0, 1000), (3000, 3600, "attack")), "--per-lab")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "chase 0.667 1.000 0.500 2,000 1,000 0 1,000 0.667 2" in lines
    assert "attack 0.000 0.000 - 0 0 600 0 0.000 0" in lines
    assert "Lab F1 0.333 bout F1 0.333" in lines
    assert "Other F1 0.000 bout F1 0.000" in lines


def test_an_action_outside_the_mean_stands_in_brackets(run):
    _, text, _ = run(HALF[0], said((0, 5), (7, 8, "attack")), "--strict", "--per-lab")
    assert "(attack)" in text
    assert "(chase)" not in text


def test_json_holds_the_scores_the_tables_and_the_notes(run):
    _, text, _ = run(seen((0, 10)), said((0, 5), (7, 7, "sniff")), "--json")
    value = json.loads(text)
    assert value["score"] == pytest.approx(2 / 3)
    assert (value["strict"], value["rules"]) == (None, "challenge")
    (lab,) = value["labs"]
    assert lab["actions"][0]["missed_frames"] == 5
    assert "unwatched actions: 1, not counted" in value["notes"][0]


def test_what_has_no_score_is_null_in_json_and_a_dash_in_text(run):
    nothing = seen((7, 7))
    assert json.loads(run(nothing, HALF[1], "--json", "--strict")[1])["strict"] is None
    assert (
        "strict         -   labs: 0, actions: 0" in run(nothing, HALF[1], "--strict")[1]
    )


def bad(rows, **cells):
    return pl.DataFrame([row | cells for row in rows])


COMPLAINTS = [
    (
        HALF[0],
        said((0, 9), (8, 12, "attack")),
        "video 1, mouse1 to mouse2: frame 8 has",
    ),
    (
        HALF[0],
        said((9, 8)),
        "submission.csv: row 0: expected start_frame <= stop_frame",
    ),
    (HALF[0], bad(HALF[1], stop_frame="5.0"), "stop_frame must be a whole number"),
    (HALF[0], bad(HALF[1], stop_frame=None), "stop_frame is empty"),
    (HALF[0], pl.DataFrame(HALF[1]).clear(), "submission.csv: expected at least one"),
    (HALF[1], HALF[1], "solution.csv: no column ['lab_id', 'behaviors_labeled']"),
    (HALF[0], pl.DataFrame({"x": [1]}), "submission.csv: no column"),
    (seen((0, 1), listed="{"), HALF[1], "must be a JSON list"),
]


@pytest.mark.parametrize(("solution", "submission", "part"), COMPLAINTS)
def test_what_cannot_be_scored_is_one_line_and_exit_code_2(
    run, solution, submission, part
):
    code, text, complaint = run(solution, submission)
    assert (code, text) == (2, "")
    assert complaint.startswith("mabe: ")
    assert part in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    "content", [None, b"", b"a,b\n1,2,3\n", b"\xff\xfe\x00a\x80\n\x93"]
)
def test_a_file_that_is_no_table_is_named(tmp_path, capsys, content):
    path = tmp_path / "solution.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["score", str(path), str(path)]) == 2
    complaint = capsys.readouterr().err
    assert str(path) in complaint
    assert complaint.count("\n") == 1


def test_the_command_does_not_wait_for_torch(run, tmp_path):
    run(*HALF)
    files = [str(tmp_path / f"{name}.csv") for name in ("solution", "submission")]
    code = f"import sys; from mabe.cli.main import main; main(['score', *{files!r}]); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
