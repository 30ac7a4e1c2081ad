"""Windows of the pair task: whose they are, where they lie, and how often."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_stories import RATE, stored

from mabe.bouts import View
from mabe.data.clips import NOBODY
from mabe.data.pair_windows import (
    SEATS,
    LabelledViews,
    PairSampler,
    count_states,
    from_view,
    label_views,
    order_animals,
)
from mabe.data.poses_file import PosesFile
from mabe.data.store import PoseStore
from mabe.errors import DataError
from mabe.pair_task import UNWATCHED, PairTask


class Clock(PoseStore):
    """A store whose animals carry a sign: the frame (x), and who they are (y).

    Animal 3 of recording 2 shows y = 23; animals that are not tracked are missing.
    """

    def __init__(self, *recordings):
        super().__init__(
            root=Path(),
            rate_fps=RATE,
            recordings=recordings,
            poses=PosesFile(Path(), {}),
        )

    def points_cm(self, index, start, stop, *, every=1):
        slots = np.array(self.recordings[index].slots)
        frames = np.arange(start, stop, every)
        points = np.empty((len(frames), len(slots), 2), np.float32)
        points[..., 0] = frames[:, None]
        points[..., 1] = 10 * index + slots // 18 + 1
        return points


def sampler(*recordings, length=8, power=0.5, action_share=0.5, task=None):
    task = task or PairTask.from_recordings(recordings, ignore=_ignored(recordings))
    return PairSampler(
        label_views(Clock(*recordings), task),
        range(len(recordings)),
        length=length,
        power=power,
        action_share=action_share,
    )


def _ignored(recordings):
    return {b.action for r in recordings for b in r.bouts} & {"handling"}


def draw(a_sampler, windows=64, *, seed=0, stretch=1.0):
    return a_sampler.draw(np.random.default_rng(seed), windows, stretch)


def shown(batch):
    """Frame, recording, agent and target of each window, as its poses show them."""
    frame = batch.poses[:, :, 0, 0, 0]
    agent, target = (batch.poses[:, 0, seat, 0, 1] for seat in (0, 1))
    recording = agent // 10
    target = np.where(np.isnan(target), agent, target)
    return frame, recording.astype(int), agent % 10, target % 10


THREE = (
    stored(("1>2 attack", 20, 30), ("2>1 attack", 70, 74), frames=100, lab="A"),
    stored(
        ("1>2 sniff", 5, 9),
        ("3>3 rear", 40, 60),
        ("1>2 handling", 7, 30),
        watched=["2>3 sniff", "1>2 attack"],
        frames=80,
        lab="B",
        animals=(1, 2, 3),
    ),
    stored(("2>2 rear", 2, 4), watched=["1>2 attack"], frames=5, lab="A"),
)
"""Two labs, three recordings; the last is shorter than a window."""


# Who sits where.


@pytest.mark.parametrize(
    ("view", "order"),
    [
        (View(1, 2), [0, 1, 2, 3, NOBODY]),
        (View(2, 1), [1, 0, 2, 3, NOBODY]),
        (View(2, 4), [1, 3, 0, 2, NOBODY]),
        (View(3, 3), [2, NOBODY, 0, 1, 3]),
    ],
)
def test_the_agent_comes_first_the_target_second_then_the_others(view, order):
    assert order_animals(view, range(4)) == order


def test_a_view_shows_its_agent_first_and_leaves_the_poses_as_they_were():
    poses = Clock(stored(animals=(1, 2, 3, 4))).poses_cm(0, 0, 2)
    before = poses.copy()
    assert from_view(poses, View(4, 2))[1, :4, 0, 1].tolist() == [4, 2, 1, 3]
    on_self = from_view(poses, View(4, 4))
    assert np.isnan(on_self[:, 1]).all()
    assert on_self[1, [0, 2, 3, 4], 0, 1].tolist() == [4, 1, 2, 3]
    assert np.array_equal(poses, before, equal_nan=True)


def test_nobody_sits_twice():
    for agent in range(1, 5):
        for target in range(1, 5):
            order = order_animals(View(agent, target), range(4))
            animals = [animal for animal in order if animal != NOBODY]
            assert len(order) == SEATS
            assert sorted(animals) == [0, 1, 2, 3]


# What a window holds.


@given(
    seed=st.integers(0, 10_000),
    length=st.integers(3, 12),
    action_share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_every_window_has_the_labels_of_its_view_and_its_place(
    seed, length, action_share
):
    drawing = sampler(*THREE, length=length, action_share=action_share)
    by_view = {(v.recording, v.view.agent, v.view.target): v for v in drawing.views}
    batch = draw(drawing, 16, seed=seed)
    for frame, *view, labels in zip(*shown(batch), batch.labels, strict=True):
        start, seen = int(frame[0]), int(np.isfinite(frame).sum())
        expected = by_view[tuple(view)].frames(start, start + seen)
        assert np.array_equal(frame[:seen], np.arange(start, start + seen))
        assert np.array_equal(labels[:seen], expected)
        assert (labels[seen:] == UNWATCHED).all()


def test_a_window_names_its_lab_and_whether_it_is_of_one_animal():
    batch = draw(sampler(*THREE))
    _, recording, agent, target = shown(batch)
    lab = np.array([1, 2, 1])[recording]  # A, B, A
    assert np.array_equal(batch.lab, lab)
    assert np.array_equal(batch.is_self, agent == target)
    assert batch.is_self.any()
    assert not batch.is_self.all()


def test_a_lab_that_was_not_learned_from_has_no_number():
    task = PairTask.from_recordings(THREE, learned=[0])
    assert set(draw(sampler(*THREE, task=task)).lab) == {0, 1}


def test_of_an_action_on_oneself_all_other_animals_are_others():
    recording = stored(("2>2 rear", 0, 20), animals=(1, 2, 3, 4))
    batch = draw(sampler(recording), 2)
    assert np.isnan(batch.poses[:, :, 1]).all()
    assert batch.poses[:, 0, [0, 2, 3, 4], 0, 1].tolist() == [[2, 1, 3, 4]] * 2


def test_a_recording_shorter_than_the_window_is_followed_by_nothing():
    recording = stored(("1>2 attack", 0, 3), frames=3)
    batch = draw(sampler(recording, length=6), 4)
    assert batch.labels[..., 0].tolist() == [[1, 1, 1, -1, -1, -1]] * 4
    assert np.isfinite(batch.poses[:, :3, :2, 0]).all()
    assert np.isnan(batch.poses[:, 3:]).all()


@pytest.mark.parametrize("stretch", [0.7, 1.4])
def test_stretched_windows_keep_their_length_and_their_labels(stretch):
    bouts = [("1>2 attack", start, start + 20) for start in range(0, 2000, 40)]
    recording = stored(*bouts, frames=2000)
    drawing = sampler(recording, length=50)
    batch = draw(drawing, 32, stretch=stretch)
    frame = batch.poses[:, :, 0, 0, 0]
    assert frame.shape == (32, 50)
    np.testing.assert_allclose(frame[:, -1] - frame[:, 0], round(50 * stretch) - 1)
    truth = drawing.views[0].frames(0, 2000)[:, 0]
    wrong = batch.labels[..., 0] != truth[np.rint(frame).astype(int)]
    assert wrong.mean() < 0.02  # a frame that falls between two, at an edge


# Which windows are drawn.


@pytest.mark.parametrize("seed", [0, 7])
def test_windows_depend_on_the_random_numbers_alone(seed):
    one, other = sampler(*THREE), sampler(*THREE)
    draw(other, seed=seed + 1)  # what was drawn before leaves no trace
    first, again = draw(one, 4, seed=seed), draw(other, 4, seed=seed)
    np.testing.assert_array_equal(first.poses, again.poses)
    np.testing.assert_array_equal(first.labels, again.labels)


def test_other_random_numbers_draw_other_windows():
    one, other = (draw(sampler(*THREE), seed=seed) for seed in (1, 2))
    assert not np.array_equal(one.poses, other.poses, equal_nan=True)


RARE = stored(
    ("1>2 attack", 0, 500), ("1>2 sniff", 900, 905), watched=["2>1 sniff"], frames=1000
)
"""Attacks are a hundred times as long as sniffs."""


def share_showing(action, *, power, action_share):
    drawing = sampler(RARE, length=2, power=power, action_share=action_share)
    batch = draw(drawing, 2000)
    place = drawing.data.task.actions.index(action)
    return (batch.labels[..., place] == 1).any(axis=1).mean()


@pytest.mark.parametrize(
    ("power", "share"), [(1.0, 5 / 505), (0.5, 0.1 / 1.1), (0.0, 0.5)]
)
def test_a_rare_action_is_drawn_the_oftener_the_smaller_the_power(power, share):
    # Of windows that show an action: 1 as in the data, 0 each action alike.
    found = share_showing("sniff", power=power, action_share=1.0)
    assert found == pytest.approx(share, abs=0.003)


def test_without_a_share_for_actions_they_are_seen_as_often_as_they_are():
    # Two views of 1000 frames, and attacks in 500 of one of them.
    found = share_showing("attack", power=0.0, action_share=0.0)
    assert found == pytest.approx(0.25, abs=0.03)
    assert share_showing("sniff", power=0.0, action_share=0.0) < 0.02


@pytest.mark.parametrize("action_share", [0.0, 0.25, 1.0])
def test_windows_of_actions_show_one_and_have_their_share_of_the_batch(action_share):
    bouts = [("1>2 attack", start, start + 2) for start in range(500, 900, 100)]
    recording = stored(*bouts, frames=100_000)
    batch = draw(sampler(recording, length=4, action_share=action_share), 400)
    showing = (batch.labels == 1).any(axis=(1, 2))
    assert showing.mean() == pytest.approx(action_share, abs=0.005)


@pytest.mark.parametrize(("power", "share"), [(1.0, 0.1), (0.5, 0.25), (0.0, 0.5)])
def test_a_small_lab_is_drawn_the_oftener_the_smaller_the_power(power, share):
    # The big lab has nine times the frames; actions are not asked for.
    big = stored(("1>2 attack", 0, 9), frames=900, lab="big")
    small = stored(("1>2 attack", 0, 9), frames=100, lab="small")
    batch = draw(sampler(big, small, power=power, action_share=0.0), 1000)
    assert (batch.lab == 2).mean() == pytest.approx(share, abs=0.002)


def test_an_action_is_as_rare_as_it_is_in_its_own_lab():
    # "sniff" is common in one lab and rare in the other: two pairs, not one.
    one = stored(("1>2 sniff", 0, 900), frames=1000, lab="A")
    other = stored(("1>2 sniff", 0, 9), frames=1000, lab="B")
    batch = draw(sampler(one, other, power=0.0, action_share=1.0), 1000)
    assert (batch.lab == 2).mean() == pytest.approx(0.5, abs=0.002)


def test_frames_of_a_lab_are_drawn_equally_often_wherever_they_lie():
    recordings = [stored(("1>2 attack", 0, 9), frames=frames) for frames in (200, 800)]
    batch = draw(sampler(*recordings, length=2, action_share=0.0), 2000)
    frame, recording, *_ = shown(batch)
    assert (recording == 0).mean() == pytest.approx(0.2, abs=0.03)
    assert frame[recording == 1].mean() == pytest.approx(400, abs=25)


def test_a_frame_to_be_shown_is_anywhere_in_its_window():
    recording = stored(("1>2 attack", 500, 501), frames=1000)
    batch = draw(sampler(recording, length=10, action_share=1.0), 1000)
    places = (batch.labels[..., 0] == 1).argmax(axis=1)
    assert np.bincount(places, minlength=10).min() > 60  # of about 100


def test_frames_that_are_ignored_are_never_drawn_for_their_own_sake():
    recording = stored(
        ("1>2 attack", 100, 120), ("1>2 handling", 105, 1000), frames=1000
    )
    for action_share in (0.0, 1.0):
        batch = draw(sampler(recording, length=2, action_share=action_share), 500)
        assert (batch.labels != UNWATCHED).any(axis=(1, 2)).all()


def test_without_any_action_the_other_windows_are_drawn_alone():
    task = PairTask.from_recordings([RARE])
    quiet = [stored(watched=["1>2 attack"], frames=50, lab=lab) for lab in "ABC"]
    batch = draw(sampler(*quiet, task=task, action_share=1.0), 8)
    assert (batch.labels[..., 0] == 0).all()
    assert set(shown(batch)[1]) == {0, 1, 2}


def test_recordings_without_a_frame_that_counts_are_a_line_for_people():
    untracked = stored(("1>3 attack", 0, 9), animals=(1, 2))
    with pytest.raises(DataError, match=r"none of 1 training recording .* counts"):
        sampler(untracked)


def test_views_are_those_of_the_recordings_asked_for():
    data = label_views(Clock(*THREE), PairTask.from_recordings(THREE))
    assert isinstance(data, LabelledViews)
    assert {labels.recording for labels in data.of([0, 2])} == {0, 2}
    assert len(data.of([0])) + len(data.of([1, 2])) == len(data.views)


# Counting.


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=4)


@given(attacks=SPANS, sniffs=SPANS, handled=SPANS)
def test_counts_are_those_of_the_frames_one_by_one(attacks, sniffs, handled):
    recording = stored(
        ("2>1 attack", 0, 1),
        *(("1>2 attack", start, start + n) for start, n in attacks),
        *(("1>2 sniff", start, start + n) for start, n in sniffs),
        *(("1>2 handling", start, start + n) for start, n in handled),
        watched=["1>2 attack", "1>1 sniff"],
        frames=60,  # never all of them handled
    )
    drawing = sampler(recording, task=TWO)
    states = np.concatenate([v.frames(0, v.length) for v in drawing.views])
    happened, watched = count_states(drawing.views, 2)
    assert happened.tolist() == (states == 1).sum(axis=0).tolist()
    assert watched.tolist() == (states >= 0).sum(axis=0).tolist()


TWO = PairTask(
    actions=("attack", "sniff"),
    labs=("Lab",),
    vocabulary={"Lab": frozenset({("attack", False), ("sniff", False)})},
    ignored=frozenset({"handling"}),
)


def test_frames_that_count_are_counted_once_for_each_view():
    recording = stored(
        ("1>2 attack", 0, 9),
        ("1>2 handling", 2, 5),
        watched=["1>2 attack", "2>1 attack", "1>1 sniff"],
        frames=40,
    )
    assert sampler(recording, task=TWO).counted_frames == 3 * 37


def test_processes_that_share_a_batch_draw_the_windows_of_one():
    source = sampler(*THREE)
    whole, *parts = [
        source.draw(np.random.default_rng(3), 8, 1.1, own)
        for own in (slice(None), slice(0, 4), slice(4, 8))
    ]
    for name in ("poses", "labels", "lab", "is_self"):
        shared = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(shared, getattr(whole, name), equal_nan=name == "poses")
