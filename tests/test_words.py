"""Singular and plural, and percent, in what commands print, write and show."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from chases import write_chases
from hypothesis import given
from hypothesis import strategies as st
from stories import write_fights

from mabe.cli.main import main
from mabe.runtime.console import count, percent

RUN = Path(__file__).parent / "models_of_d8a304b" / "pair_trees.safetensors"

TRUE_WORDS = ("class", "fps", "is", "has", "was", "as", "less", "this", "points to")
"""What may follow a 1 and end in s: `1 class`, `1 fps`, `1 is perfect agreement`."""
ONE_OF_SEVERAL = re.compile(
    r"(?<![\d.,:/])1 "
    r"(?:(?!of|in|to|and|or|by|from|with|at|a|the|is|are|has|have)[a-z-]+ )?"
    rf"(?!(?:{'|'.join(TRUE_WORDS)})\b)[a-z][a-z-]+s\b"
)
"""A single thing in the plural: `1 recordings`, `1 labelled bouts`."""
CLOSE_PERCENT = re.compile(r"\d%")
"""`95%`; everywhere it is `95 %`."""


@given(st.integers(0, 10**6), st.sampled_from(["bout", "class", "box", "animal pair"]))
def test_one_thing_is_named_in_the_singular_alone(number, noun):
    told = count(number, noun)
    assert told.startswith(f"{number:,} {noun}")
    assert told.endswith(noun) == (number == 1)


def test_classes_boxes_and_copies_have_their_own_plural():
    told = [count(2, each) for each in ("class", "box", "copy", "day")]
    assert told == ["2 classes", "2 boxes", "2 copies", "2 days"]


def test_shares_are_in_percent_after_a_space():
    assert [percent(0.983), percent(0.5, digits=1)] == ["98 %", "50.0 %"]
    assert [percent(None), percent(float("nan"))] == ["-", "-"]


@pytest.mark.parametrize(
    ("text", "is_wrong"),
    [
        ("on 1 recordings", True),
        ("1 of 1 recordings", True),
        ("1 labelled bouts", True),
        ("(1 bouts)", True),
        ("1 recording", False),
        ("1 of 3 recordings", False),
        ("0.1 seconds, 21 recordings, at 1 fps", False),
        ("1 is perfect", False),
    ],
)
def test_a_wrong_plural_is_found(text, is_wrong):
    assert bool(ONE_OF_SEVERAL.search(text)) == is_wrong


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A folder with a data set of one recording, one bout and one action."""
    folder = tmp_path_factory.mktemp("one")
    data = write_chases(
        folder / "data", videos=1, seconds=6, watched=["mouse2,mouse1,chase"]
    )
    shutil.copytree(data / "train_tracking", data / "test_tracking")
    shutil.copy(data / "train.csv", data / "test.csv")
    write_fights(folder / "fights", videos=1, seconds=6)
    write_chases(folder / "two", videos=2, seconds=16)
    settings = {"task": "pair", "model_type": "trees", "feature_set": "social"}
    settings |= {"tree_rounds": 10, "tree_learning_rate": 0.5, "num_workers": 1}
    settings |= {"device": "cpu", "seed": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    facts = folder / "facts.csv"
    facts.write_text("video,animal,treatment\n1,mouse1,drug\n1,mouse2,saline\n")
    lone = folder / "lone"
    lone.mkdir()
    points = [
        f"{frame},a,{part},{frame + at},5"
        for frame in range(50)
        for at, part in enumerate(("nose", "tail_base"))
    ]
    (lone / "film.csv").write_text(
        "\n".join(["frame,individual,keypoint,x,y", *points]) + "\n"
    )
    (lone / "film_bouts.csv").write_text(
        "agent,target,action,start_frame,stop_frame\na,self,groom,3,9\n"
    )
    return folder


def calls(folder):
    """Return commands on one recording with their exit codes, in a useful order."""
    data, out, trained = folder / "data", folder / "out", folder / "trained"
    config = ["--config", folder / "config.yaml"]
    short = ("--set", "steps_per_epoch=2", "--set", "sequence_length=32")
    of_run = [trained, "--data", data, "--include-training", "--out"]
    measures = [out, "--data", data, "--metadata", folder / "facts.csv"]
    measures += ["--by", "treatment", "--bins", "60s"]
    return [
        (0, "inspect", data),
        (0, "inspect", folder / "lone"),
        (0, "inspect", folder / "lone" / "film.csv"),
        (0, "inspect", RUN),
        (0, "import", folder / "lone", "--fps", 25, "--out", folder / "imported"),
        (0, "simulate", folder / "made", "--videos", 1, "--minutes", 0.1),
        (0, "prepare", folder / "fights", "--out", folder / "store"),
        (0, "inspect", folder / "store"),
        (2, "train", data, "--out", folder / "run"),
        (2, "train", folder / "imported", *config, "--out", folder / "run"),
        (0, "train", folder / "two", *config, "--out", trained),
        (0, "train", folder / "two", *config, "--out", trained, "--resume"),
        (2, "crossval", *config, "--data-dir", data, "--checkpoint-dir", folder / "c"),
        (2, "tune", trained),
        (2, "calibrate", trained, data, "--out", folder / "calibrated"),
        (0, "distil", trained, data, "--out", folder / "student", *short),
        (0, "info", trained),
        (0, "predict", trained, data, "--out", out),
        (0, "predict", trained, data, "--out", out),
        (0, "inspect", out),
        (0, "export", out, "--to", "csv"),
        (0, "evaluate", trained, data, "--include-training", "--out", folder),
        (0, "submit", trained, data, "--out", folder / "submission.csv"),
        (0, "check-submission", folder / "submission.csv", "--data", data),
        (0, "check", trained, folder / "two"),
        (0, "summary", *measures, "--out", folder / "measures"),
        (0, "summary", folder / "imported", "--out", folder / "own", "--no-figures"),
        (0, "report", *of_run, folder / "report.html"),
        (0, "plot", "ethogram", *of_run, folder / "ethogram.svg"),
        (0, "plot", "confusion", *of_run, folder / "confusion.svg"),
        (
            0,
            "video",
            out,
            "Lab/1",
            "--data",
            data,
            "--to",
            0.2,
            "--out",
            folder / "a.mp4",
        ),
    ]


def seen_text(path):
    """Return what people read of a written file: without tags, styles and scripts."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".html", ".svg"):
        text = re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", " ", text)
    return re.sub(r"\s+", " ", text)


def test_one_of_everything_is_in_the_singular(single, capsys, monkeypatch):
    """What all commands print and write about one recording, animal or action."""
    monkeypatch.setenv("MABE_CACHE", str(single / "cache"))
    told = {}
    for number, (expected, *words) in enumerate(calls(single)):
        code = main([str(each) for each in words])
        shown = capsys.readouterr()
        told[f"{number} {' '.join(map(str, words[:2]))}"] = shown.out + shown.err
        assert code == expected, (words, shown)
    for ending in ("txt", "md", "html", "svg", "csv", "json", "yaml"):
        for path in single.rglob(f"*.{ending}"):
            told[str(path.relative_to(single))] = seen_text(path)

    plurals = {
        place: found[0]
        for place, text in told.items()
        if (found := ONE_OF_SEVERAL.search(text))
    }
    assert plurals == {}
    percents = [place for place, text in told.items() if CLOSE_PERCENT.search(text)]
    assert percents == []
