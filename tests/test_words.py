"""Singular and plural in what commands print."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stories import write_fights

from mabe.cli.main import main
from mabe.runtime.console import count

ONE_OF_SEVERAL = re.compile(r"(?<![\d.,:/])1 (?!fps|class\b|less\b|this\b)\w\w+s\b")
"""A single thing in the plural: `1 recordings`; not `1 fps`, `0.1 seconds`."""


@given(st.integers(0, 10**6), st.sampled_from(["bout", "class", "box", "animal pair"]))
def test_one_thing_is_named_in_the_singular_alone(number, noun):
    told = count(number, noun)
    assert told.startswith(f"{number:,} {noun}")
    assert told.endswith(noun) == (number == 1)


def test_classes_and_boxes_have_their_own_plural():
    assert [count(2, each) for each in ("class", "box")] == ["2 classes", "2 boxes"]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A data set of one recording with one bout."""
    return write_fights(tmp_path_factory.mktemp("one"), videos=1, seconds=6)


def test_commands_say_one_recording_and_one_bout(single, tmp_path, capsys):
    for command in (
        ["inspect", single],
        ["prepare", single, "--out", tmp_path / "store"],
        ["summary", single, "--out", tmp_path / "measures", "--no-figures"],
        ["simulate", tmp_path / "made", "--videos", "1", "--minutes", "0.2"],
    ):
        assert main([str(each) for each in command]) == 0, command
        told = capsys.readouterr()
        assert not ONE_OF_SEVERAL.search(told.out + told.err), command
    told = (tmp_path / "measures/summary.txt").read_text()
    assert not ONE_OF_SEVERAL.search(told)
