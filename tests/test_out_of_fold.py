"""Answers to what was never seen: there and back, put together, and refused."""

import contextlib
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mabe.bouts import View
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import OutOfFold, ViewPredictions
from mabe.errors import DataError, RunError
from mabe.experiments.out_of_fold import (
    FILE_NAME,
    blend,
    join,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.scene_task import TaskKind

ACTIONS = ("attack", "sniff")
QUICK = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture
    ],  # overwritten each time
)


def view(video="1", probabilities=((0.25, 0.5), (1.0, 0.0)), **facts):
    """Two frames of a pair in which mouse 1 attacks in the second."""
    known = {
        "kind": TaskKind.PAIR,
        "classes": ACTIONS,
        "lab": "Lab",
        "video": video,
        "view": View(1, 2),
        "track": f"track of {video}",
        "fps": 25.0,
        "probabilities": np.array(probabilities, np.float16),
        "labels": np.array([[0, -1], [1, -1]], np.int8),
    }
    return ViewPredictions(**(known | facts))


def answers(*views, names=ACTIONS, kind=TaskKind.PAIR):
    views = (replace(each, kind=kind, classes=names) for each in views)
    return OutOfFold(kind, names, tuple(views))


def assert_same(one, other):
    assert (one.kind, one.classes) == (other.kind, other.classes)
    for mine, theirs in zip(one.views, other.views, strict=True):
        assert mine.key == theirs.key
        assert (mine.track, mine.fps) == (theirs.track, theirs.fps)
        assert mine.animals == theirs.animals
        for name in ("probabilities", "labels"):
            first, second = getattr(mine, name), getattr(theirs, name)
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)


FACTS = st.fixed_dictionaries(
    {
        "lab": st.text(max_size=5),
        "video": st.text(max_size=5),
        "track": st.text(max_size=5),
        "view": st.builds(View, st.integers(0, 4), st.integers(0, 4)),
        "fps": st.floats(1, 200),
        "animals": st.lists(st.text(max_size=5), max_size=4).map(tuple),
    }
)
NAMES = st.lists(st.text(max_size=5), min_size=1, max_size=4).map(tuple)


def fill(facts, *, length, width, rng):
    """A view of any length, with gaps."""
    probabilities = rng.random((length, width)).astype(np.float16)
    probabilities[rng.random((length, width)) < 0.2] = np.nan
    labels = rng.integers(-1, 2, (length, width)).astype(np.int8)
    classes = tuple(map(str, range(width)))
    return view(probabilities=probabilities, labels=labels, classes=classes, **facts)


# There and back.


@QUICK
@given(
    NAMES,
    st.sampled_from([TaskKind.SCENE, TaskKind.PAIR]),
    st.lists(st.tuples(FACTS, st.integers(0, 9)), max_size=4),
    st.integers(0, 1000),
)
def test_writing_and_reading_are_inverse(tmp_path, names, kind, views, seed):
    rng = np.random.default_rng(seed)
    filled = [
        fill(facts, length=length, width=len(names), rng=rng) for facts, length in views
    ]
    told = answers(*filled, names=names, kind=kind)
    write_out_of_fold(tmp_path / FILE_NAME, told)
    assert_same(read_out_of_fold(tmp_path / FILE_NAME), told)


def test_the_same_answers_are_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        write_out_of_fold(tmp_path / name, answers(view("1"), view("2")))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_file_holds_no_pickle(tmp_path):
    write_out_of_fold(tmp_path / FILE_NAME, answers(view("1"), view("2")))
    with np.load(tmp_path / FILE_NAME, allow_pickle=False) as file:
        kinds = {file[name].dtype for name in file.files}
    assert kinds == {np.dtype(np.float16), np.dtype(np.int8), np.dtype(np.uint8)}


def test_a_pickle_in_its_place_is_not_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    np.savez(tmp_path / FILE_NAME, about=np.array([Bomb()], object))
    (tmp_path / "exploded").unlink(missing_ok=True)
    with pytest.raises(RunError, match="cannot be read"):
        read_out_of_fold(tmp_path / FILE_NAME)
    assert not (tmp_path / "exploded").exists()


# Damaged and absent.


def assert_one_line(path, match):
    with pytest.raises(RunError, match=match) as error:
        read_out_of_fold(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_an_absent_file_says_who_makes_it(tmp_path):
    assert_one_line(tmp_path / FILE_NAME, "mabe crossval")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / FILE_NAME
    write_out_of_fold(path, answers(view("1"), view("2")))
    return path.read_bytes()


@QUICK
@given(st.data())
def test_a_file_that_was_cut_off_is_one_line(tmp_path, sound, data):
    path = tmp_path / FILE_NAME
    path.write_bytes(sound[: data.draw(st.integers(0, len(sound) - 1))])
    assert_one_line(path, "cannot be read: .+; delete it")


@QUICK
@given(st.data())
def test_a_damaged_byte_is_noticed_or_does_no_harm(tmp_path, sound, data):
    path = tmp_path / FILE_NAME
    place = data.draw(st.integers(0, len(sound) - 1))
    damaged = bytearray(sound)
    damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    with contextlib.suppress(RunError):
        # A date, say, is nothing that is read.
        assert_same(read_out_of_fold(path), answers(view("1"), view("2")))


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"views": []}',
        b'{"views": [{}], "kind": "pair"}',
    ],
)
def test_a_file_of_something_else_is_one_line(tmp_path, about):
    path = tmp_path / FILE_NAME
    with path.open("wb") as file:
        np.savez(file, about=np.frombuffer(about, np.uint8))
    assert_one_line(path, "cannot be read")


def test_a_plain_array_is_one_line(tmp_path):
    path = tmp_path / FILE_NAME
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert_one_line(path, "cannot be read")


def test_a_missing_view_is_one_line(tmp_path, sound):
    (tmp_path / "whole").write_bytes(sound)
    with (
        zipfile.ZipFile(tmp_path / "whole") as whole,
        zipfile.ZipFile(tmp_path / FILE_NAME, "w") as part,
    ):
        for name in whole.namelist():
            if name != "l1.npy":
                part.writestr(name, whole.read(name))
    assert_one_line(tmp_path / FILE_NAME, "l1")


# Put together.


def test_folds_are_joined_in_order():
    whole = join([answers(view("1"), view("2")), answers(view("3"))])
    assert [each.video for each in whole.views] == ["1", "2", "3"]
    assert whole.tracks == ("track of 1", "track of 2", "track of 3")


def test_a_track_that_two_people_marked_is_named_once():
    both = answers(view("1", track="x"), view("2", track="x"))
    assert both.tracks == ("x",)


OTHER_QUESTIONS = [
    answers(view("2"), names=("attack", "mount")),
    answers(view("2"), names=("sniff", "attack")),  # in another order
    answers(view("2"), kind=TaskKind.SCENE),
]


@pytest.mark.parametrize("other", OTHER_QUESTIONS)
def test_folds_that_answer_another_question_are_refused(other):
    with pytest.raises(RunError, match=r"different classes.*attack"):
        join([answers(view("1")), other])


@pytest.mark.parametrize("other", OTHER_QUESTIONS)
def test_answers_to_another_question_are_not_averaged(other):
    with pytest.raises(RunError, match=r"different classes.*attack"):
        blend([answers(view("2")), other], [1, 1])


def test_a_blend_is_the_weighted_mean_view_by_view():
    one = answers(view("1", [[0.0, 0.5], [1.0, 0.0]]), view("2"))
    other = answers(view("2"), view("1", [[1.0, 0.5], [0.0, 1.0]]))  # other order
    mean = blend([one, other], [3, 1])
    np.testing.assert_allclose(mean.views[0].probabilities, [[0.25, 0.5], [0.75, 0.25]])
    assert_same(replace(mean, views=mean.views[1:]), answers(view("2")))


def test_of_an_impossible_action_a_blend_says_nothing():
    nothing = [[np.nan, 0.5], [np.nan, 0.5]]
    mean = blend([answers(view("1", nothing))] * 2, [1, 1])
    np.testing.assert_array_equal(mean.views[0].probabilities, nothing)


@pytest.mark.parametrize(
    "other",
    [
        answers(view("1")),
        answers(view("1"), view("3")),
        answers(view("1"), view("2", view=View(2, 1))),
        answers(view("1"), view("2"), view("3")),
    ],
)
def test_answers_of_other_views_are_not_averaged(other):
    with pytest.raises(RunError, match="did not predict the same recordings"):
        blend([answers(view("1"), view("2")), other], [1, 1])


def test_decisions_keep_labels_and_are_made_in_single_precision():
    (decided,) = answers(view("1")).decide(DecisionRules.plain(TaskKind.PAIR, ACTIONS))
    assert decided.decisions.tolist() == [1, 0]
    assert decided.probabilities.dtype == np.float32
    np.testing.assert_array_equal(decided.probabilities, [[0.25, 0.5], [1.0, 0.0]])
    np.testing.assert_array_equal(decided.labels, [[0, -1], [1, -1]])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"fps": 0.0}, "frames per second"),
        ({"classes": ("attack",)}, "a column for each"),
        ({"probabilities": np.full((2, 2), 1.5, np.float16)}, "logits"),
        ({"labels": np.full((2, 2), 2, np.int8)}, "-1, 0 or 1"),
    ],
)
def test_predictions_that_do_not_fit_each_other_are_refused(facts, message):
    with pytest.raises(DataError, match=message):
        replace(view(), **facts)
