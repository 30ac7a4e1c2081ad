"""The studio: from tracks without labels to a trained model, on a page."""

import json
import os
import time
from dataclasses import replace
from itertools import pairwise

import httpx
import numpy as np
import pytest
from browser import in_firefox, needs_browser, served
from films import write_film
from hypothesis import given
from hypothesis import strategies as st
from kills import killed_at
from lab_folders import write_table, write_tracks
from pair_stories import stored
from stories import FPS, write_fights

from mabe.bouts import Bout, Watched, WatchedSpan, spans_of
from mabe.errors import DataError, OutputError
from mabe.experiments.learning_curve import Gain, LearningCurve, gain_per_doubling
from mabe.io.predictions import read_predictions
from mabe.io.project import Project, load_project
from mabe.io.readers.kaggle import read_coverage, read_index, read_labels
from mabe.metrics.confidence_interval import confidence_of_counts
from mabe.metrics.frame_scores import without_unlearned
from mabe.runtime.executors import HERE
from mabe.scene_task import TaskKind
from mabe.viz.film.film_reader import read_facts
from mabe.viz.studio.drift import find_drift
from mabe.viz.studio.ethogram import Ethogram, Kind, StudioAction, write_ethogram
from mabe.viz.studio.full_training import train_full
from mabe.viz.studio.job_lines import run_job
from mabe.viz.studio.jobs import WaitingWorker, start_job
from mabe.viz.studio.label_edits import LabelEdit, StudioLabels
from mabe.viz.studio.label_files import LabelFiles, only_server
from mabe.viz.studio.launch import serve_project
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.project_overview import overview
from mabe.viz.studio.recording_pages import RecordingPages
from mabe.viz.studio.rounds import Round, finished_rounds, reasons_not_ready
from mabe.viz.studio.server import build_app
from mabe.viz.studio.session import StudioSession
from mabe.viz.studio.stretches import Stretches
from mabe.viz.studio.suggest import StretchScores, suggest
from mabe.viz.studio.trust import agreement_rows, ethogram_of
from mabe.viz.studio.worker import describe_round

TOKEN = "secret"
ATTACK = StudioAction("attack", "1", Kind.DIRECTED)
REAR = StudioAction("rear", "2", Kind.SELF)


def bout(start, stop, action="attack", agent=1, target=2):
    return Bout(start, stop, action, agent, target)


def span(start, stop, action="attack", agent=1, target=2):
    return WatchedSpan(start, stop, action, agent, target)


def project_of(root, *, videos=2, labelled=False, seconds=24):
    write_fights(root, videos=videos, seconds=seconds, labelled=labelled)
    return open_project(root, Project())


def label_files(project):
    return LabelFiles(project.data, {info.name: info for info in project.videos})


# ── edits ──

spans = st.tuples(st.integers(0, 40), st.integers(1, 12)).map(
    lambda each: (each[0], each[0] + each[1])
)
edits = st.tuples(*3 * [st.lists(spans, max_size=3)])
"""What is added, watched and no longer watched. Records are made in the tests, as the
types of their fields are checked at random places, which strategies may not do."""


def edit_of(add, watch, unwatch=()):
    return LabelEdit(
        add=tuple(bout(*each) for each in add),
        watch=tuple(span(*each) for each in watch),
        unwatch=tuple(span(*each) for each in unwatch),
    )


def frames_of(spans):
    return {f for each in spans for f in range(each.start, each.stop)}


@given(st.lists(edits, max_size=5))
def test_edits_do_to_frames_what_they_say(made):
    labels, yes, watched = StudioLabels(), set(), set()
    for edit in (edit_of(*each) for each in made):
        labels = edit.applied(labels)
        yes |= frames_of(edit.add)
        watched = (watched | frames_of(edit.watch)) - frames_of(edit.unwatch) | yes
    assert frames_of(labels.bouts) == yes
    assert frames_of(labels.coverage) == watched
    found = spans_of(labels.coverage, Watched(1, 2, "attack")).tolist()
    assert all(a[1] < b[0] for a, b in pairwise(found))


@given(edits, edits)
def test_what_two_windows_add_does_not_depend_on_who_comes_first(one, other):
    one, other = (edit_of(add, watch) for add, watch, _ in (one, other))
    first = other.applied(one.applied(StudioLabels()))
    assert one.applied(other.applied(StudioLabels())) == first


def test_a_bout_that_is_removed_stays_no_where_it_was_watched():
    labels = LabelEdit(add=(bout(10, 20),), watch=(span(0, 50),)).applied(
        StudioLabels()
    )
    labels = LabelEdit(remove=(bout(10, 20),)).applied(labels)
    assert labels == StudioLabels((), (span(0, 50),))


# ── files ──


def test_labels_are_those_of_the_standard_layout(tmp_path):
    project = project_of(tmp_path / "p")
    files = label_files(project)
    files.apply(
        "Lab/1",
        LabelEdit(add=(bout(5, 9), bout(2, 4, "rear", 1, 1)), watch=(span(0, 100),)),
        frames=600,
    )
    info = {each.name: each for each in read_index(project.data)}
    assert read_labels(info["Lab/1"])[0] == (bout(2, 4, "rear", 1, 1), bout(5, 9))
    assert read_coverage(info["Lab/1"]) == (
        span(0, 100),
        span(2, 4, "rear", 1, 1),
    )
    assert info["Lab/1"].watched == (
        Watched(1, 1, "rear"),
        Watched(1, 2, "attack"),
    )
    assert not info["Lab/2"].has_labels  # nobody has looked there


def test_a_kill_at_any_moment_leaves_the_labels_before_or_after(tmp_path):
    """Killed at each rename in turn, then started again."""
    before = LabelEdit(add=(bout(5, 9),), watch=(span(0, 100),))
    edit = LabelEdit(add=(bout(50, 60), bout(2, 4, "rear", 1, 1)), remove=(bout(5, 9),))
    old = before.applied(StudioLabels())
    seen = set()
    for number in range(1, 30):
        project = project_of(tmp_path / str(number), videos=1, seconds=5)
        label_files(project).apply("Lab/1", before, frames=125)
        is_killed = killed_at(
            number,
            lambda p=project: label_files(p).apply("Lab/1", edit, frames=125),
        )
        project = open_project(project.root, Project())
        files = label_files(project)
        files.recover()
        labels = files.read("Lab/1", frames=125)
        assert labels in (old, edit.applied(old))
        assert not list((project.data / "studio/pending").glob("*.json"))
        seen.add(labels == old)
        if not is_killed:
            break
    assert seen == {True, False}
    assert number > 6


def test_labels_that_were_there_are_kept_and_count_as_watched(tmp_path):
    project = project_of(tmp_path / "p", labelled=True)
    files = label_files(project)
    labels = files.read("Lab/1", frames=600)
    assert labels.bouts[0] == bout(0, 100)
    assert span(0, 600) in labels.coverage
    files.apply("Lab/1", LabelEdit(add=(bout(110, 120),)), frames=600)
    again = label_files(open_project(project.root, Project())).read("Lab/1")
    assert span(0, 600) in again.coverage
    assert len(again.bouts) == len(labels.bouts) + 1
    assert len(read_labels(read_index(project.root)[0])[0]) == len(labels.bouts)


def test_a_recording_that_comes_later_is_added_and_labels_stay(tmp_path):
    project = project_of(tmp_path / "p", videos=1)
    label_files(project).apply("Lab/1", LabelEdit(add=(bout(5, 9),)), frames=600)
    write_fights(tmp_path / "p", videos=2, labelled=False)
    project = open_project(tmp_path / "p", Project())
    assert [info.video for info in project.videos] == ["1", "2"]
    assert label_files(project).read("Lab/1", frames=600).bouts == (bout(5, 9),)


def test_a_folder_as_labs_have_it_has_its_films_labels_and_problems(tmp_path):
    for name in ("cage1", "cage2"):
        write_tracks(tmp_path / "p", name)
    write_table(tmp_path / "p/cage1.csv", [("chase", 2, 4, "a")])
    write_film(tmp_path / "p/cage1.webm", frames=3)
    write_film(tmp_path / "p/cage2.avi", frames=3)
    (tmp_path / "p/notes.pdf").write_bytes(b"%PDF")
    project = open_project(tmp_path / "p", Project(fps=25, pixels_per_cm=2))
    before = {path.name for path in (tmp_path / "p").iterdir()}
    one, two = overview(StudioSession.of_project(project))["recordings"]
    assert (one["name"], one["film"], one["isPlayed"]) == ("cage1", "cage1.webm", True)
    assert (two["name"], two["film"], two["isPlayed"]) == ("cage2", "cage2.avi", False)
    first, second = project.videos
    assert [b.action for b in read_labels(first)[0]] == ["chase"]
    assert first.has_labels
    assert not second.has_labels
    assert before - {"mabe"} == {
        *(path.name for path in (tmp_path / "p").iterdir() if path.name != "mabe")
    }


def lab_folder(root, *, settings="pixels_per_cm: 2\n"):
    """Return a folder with tracks that give no rate, and a film of 50 fps."""
    write_tracks(root, "cage1")
    write_film(root / "cage1.mp4", frames=3, fps=50)
    (root / "project.yaml").write_text(settings)
    return root


def opened(root, **given):
    return open_project(root, load_project(root).with_changes(**given))


def test_tracks_without_a_rate_have_that_of_their_film_and_it_is_a_guess(tmp_path):
    project = opened(lab_folder(tmp_path / "p"))
    assert [info.fps for info in project.videos] == [50]
    assert project.sources["p/cage1"]["fps"] == "its film (guessed)"
    assert any("that of its film" in line for line in project.problems)


def test_a_film_of_another_rate_than_its_tracks_is_named(tmp_path):
    root = lab_folder(tmp_path / "p", settings="fps: 25\npixels_per_cm: 2\n")
    project = opened(root)
    assert [info.fps for info in project.videos] == [25]
    [problem] = [line for line in project.problems if "drift apart" in line]
    assert "cage1: its tracks are read at 25 fps, and cage1.mp4 has 50" in problem
    write_tracks(root, "cage2")
    assert problem in opened(root).problems  # also once another one was added


def test_a_rate_of_the_command_line_stays_and_another_one_later_is_refused(tmp_path):
    root = lab_folder(tmp_path / "p")
    assert opened(root, fps=25).given == {"fps": 25}
    again = opened(root)
    assert (again.given, again.videos[0].fps) == ({"fps": 25}, 25)
    other = opened(root, fps=30)
    assert (other.given, other.videos[0].fps) == ({"fps": 25}, 25)
    assert other.problems[0].startswith("fps: 30 of the command line is not used")


def test_a_rate_of_the_file_counts_for_new_recordings_whatever_was_given(tmp_path):
    root = lab_folder(tmp_path / "p")
    opened(root, fps=25)
    (root / "project.yaml").write_text("fps: 30\npixels_per_cm: 2\n")
    write_tracks(root, "cage2")
    project = opened(root)
    assert [info.fps for info in project.videos] == [25, 30]
    assert "those that were read with 25 keep it" in project.problems[0]
    assert project.given == {}


def test_what_an_earlier_version_was_given_is_known_by_its_recordings(tmp_path):
    root = lab_folder(tmp_path / "p")
    opened(root, fps=25)
    note = root / "mabe/studio/import.json"
    about = json.loads(note.read_text())
    del about["given"]
    note.write_text(json.dumps(about))
    assert opened(root).given == {"fps": 25}
    other = opened(root, fps=30)
    assert other.given == {"fps": 25}
    assert "is not used, the project was read with 25" in other.problems[0]


def test_a_rate_that_comes_later_counts_for_recordings_that_lacked_one(tmp_path):
    root = lab_folder(tmp_path / "p")  # its rate is that of its film
    opened(root)
    write_tracks(root, "cage2")
    assert any("give --fps" in line for line in opened(root).problems)
    project = opened(root, fps=25)
    assert [info.fps for info in project.videos] == [50, 25]
    assert "counts for new recordings" in project.problems[0]
    assert not any("give --fps" in line for line in project.problems)


def test_a_folder_without_a_project_stays_as_it_is(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        serve_project(tmp_path / "nosuch", Project())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="track"):
        serve_project(tmp_path / "empty", Project())
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_a_film_is_sent_by_ranges_and_only_with_the_secret(session, address):
    film = write_film(session.project.root / "1.webm", frames=3)
    session.films["Lab/1"] = film
    place = "api/video?recording=0"
    answer = ask(address, "GET", place, headers={"range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, film.read_bytes()[2:5])
    assert ask(address, "GET", "api/video?recording=1").status_code == 404
    assert ask(address, "GET", "api/video?recording=99").status_code == 404
    assert ask(address, "GET", "api/video?recording=../x").status_code == 400


def test_a_second_server_is_refused(tmp_path):
    with (
        only_server(tmp_path / "mabe"),
        pytest.raises(OutputError, match="is open in another"),
        only_server(tmp_path / "mabe"),
    ):
        pass


# ── actions ──


@pytest.mark.parametrize(
    ("name", "key"),
    [("", "1"), ("a,b", "1"), ("bite", "a"), ("bite", "12"), (" b", "1")],
)
def test_actions_without_a_usable_name_and_key_are_refused(name, key):
    with pytest.raises(DataError):
        StudioAction(name, key, Kind.SELF)


def test_two_actions_have_two_names_and_two_keys():
    with pytest.raises(DataError, match="key"):
        Ethogram((ATTACK, StudioAction("bite", "1", Kind.SELF)))


def test_a_new_action_gets_underscores_for_blanks_as_files_of_labels_have(tmp_path):
    session = StudioSession.of_project(project_of(tmp_path / "p"))
    session.set_ethogram(Ethogram((StudioAction("jump  up", "1", Kind.SELF),)))
    assert session.ethogram.names == ("jump_up",)
    two = Ethogram((*session.ethogram.actions, StudioAction("jump up", "2", Kind.SELF)))
    with pytest.raises(DataError, match="two actions have the name jump_up"):
        session.set_ethogram(two)


def test_an_action_with_labels_keeps_its_kind(tmp_path):
    session = StudioSession.of_project(project_of(tmp_path / "p"))
    session.set_ethogram(Ethogram((ATTACK, REAR)))
    session.edit(0, LabelEdit(add=(bout(5, 9),)), 0)
    session.set_ethogram(Ethogram((ATTACK,)))
    with pytest.raises(DataError, match="has labels"):
        session.set_ethogram(Ethogram((REAR,)))


def test_a_point_is_one_frame_and_a_longer_one_is_refused(tmp_path):
    session = StudioSession.of_project(project_of(tmp_path / "p"))
    bite = StudioAction("bite", "3", Kind.DIRECTED, is_point=True)
    session.set_ethogram(Ethogram((ATTACK, bite)))
    session.edit(0, LabelEdit(add=(bout(5, 6, "bite"),)), 0)
    with pytest.raises(DataError, match="one frame long, not 2"):
        session.edit(0, LabelEdit(add=(bout(8, 10, "bite"),)), 0)
    with pytest.raises(DataError, match="whether it lasts"):
        session.set_ethogram(Ethogram((ATTACK, replace(bite, is_point=False))))
    session.set_ethogram(Ethogram((ATTACK, replace(bite, key="4"))))
    again = StudioSession.of_project(open_project(tmp_path / "p", Project()))
    assert again.ethogram.points == {"bite"}


# ── suggestions ──


def stretches_at(points, *, recordings=1):
    count = len(points)
    starts = np.arange(count) * 100
    return Stretches(
        tuple(map(str, range(recordings))),
        np.arange(count) % recordings,
        np.tile([1, 2], (count, 1)),
        np.stack([starts, starts + 100], axis=1),
        np.ones(count),
        np.array(points, float)[:, None],
    )


def test_first_comes_movement_and_then_what_is_unlike_it():
    stretches = stretches_at([0.2, 0.2, 0.2, 2.0, 0.2, 0.0, 0.2])
    labelled = np.zeros(7)
    assert suggest(stretches, labelled, None)[0].place == 3
    labelled[3] = 1
    first, *others = suggest(stretches, labelled, None)
    assert first.place == 5
    assert all("at random" in each.reason for each in others[:2])


def test_what_is_labelled_or_not_tracked_is_not_suggested():
    stretches = stretches_at([0, 1, 2, 3, 4, 5])
    stretches.tracked[5] = 0
    chosen = suggest(stretches, np.array([1, 0, 0, 0, 0.9, 0]), None)
    assert {each.place for each in chosen} <= {1, 2, 3}


def test_the_least_certain_stretch_comes_before_a_rare_action_and_has_a_reason():
    stretches = stretches_at([0] * 8, recordings=8)
    error = np.array([0, 0, 0.4, 0, 0, 0, 0, 0])
    probability = np.zeros((8, 2))
    probability[5, 1] = 0.6  # of the rare action
    probability[1, 0] = 0.9
    scores = StretchScores(("often", "rare"), error, probability)
    first, second, *_ = suggest(stretches, np.zeros(8), scores, [0.1, 1.0])
    assert (first.place, second.place, second.action) == (2, 5, "rare")
    assert "40 %" in first.reason
    assert "rare suspected" in second.reason


def test_an_action_is_ready_only_with_labels_a_score_and_five_recordings():
    good = {"bouts": 20, "recordings": 5, "f1": 0.8}
    assert reasons_not_ready(good) == []
    for change in (
        {"bouts": 2},
        {"recordings": 1},
        {"recordings": 4},
        {"f1": 0.3},
        {"f1": None},
    ):
        assert len(reasons_not_ready({**good, **change})) == 1


def test_a_wide_interval_is_a_reason_and_is_given():
    action = {"bouts": 20, "recordings": 5, "f1": 0.8, "interval": [0.31, 0.92]}
    [reason] = reasons_not_ready(action)
    assert "0.31 to 0.92" in reason


def test_an_action_of_one_recording_alone_is_not_scored_and_not_in_the_mean():
    counts = np.zeros((3, 1, 2, 3), int)
    counts[:, 0, 0] = [10, 10, 8]  # in all three recordings
    counts[0, 0, 1] = [10, 0, 0]  # in the first one, where others could not learn it
    counts[1, 0, 1] = [0, 5, 0]
    confidence = confidence_of_counts(without_unlearned(counts), TaskKind.PAIR)
    assert confidence.score == pytest.approx(0.8)
    in_one_fold = without_unlearned(counts, np.array([0, 0, 0]))
    assert not in_one_fold.any()
    one = stored(("1>2 attack", 1, 2), ("1>1 rear", 5, 9), frames=30)
    about = describe_round(
        actions=("attack", "rear"), labelled=[one], confidence=confidence
    )
    assert [each["f1"] for each in about["actions"]] == [0.8, None]
    assert (about["f1"], about["scored"]) == (0.8, 1)


def test_a_round_of_an_earlier_version_says_what_its_mean_is_of(session):
    actions = [
        {"name": "attack", "bouts": 9, "recordings": 5, "f1": 0.8, "interval": None},
        {"name": "rear", "bouts": 2, "recordings": 1, "f1": 0.0, "interval": None},
    ]
    about = {"actions": actions, "f1": 0.4, "minutes": 2, "recordings": 5}
    session.rounds = [Round(session.data / "studio/rounds/1", about)]
    told = overview(session)["round"]
    assert [each["f1"] for each in told["actions"]] == [0.8, None]
    assert (told["scored"], told["isMeanOfAll"]) == (1, True)
    session.rounds = [Round(session.data / "studio/rounds/1", {**about, "scored": 1})]
    assert not overview(session)["round"]["isMeanOfAll"]


# ── trust ──


def counts_of(f1s, tracks):
    """Return counts with which each of some sizes has an F1, in each track alike."""
    rows = []
    for f1 in f1s:
        right = round(1000 * f1)
        rows.append([[[[1000, 1000, right]]]] * tracks)
    return np.array(rows).reshape(len(f1s), tracks, 1, 1, 3)


def test_a_score_that_rises_by_a_tenth_a_doubling_gains_a_tenth():
    minutes = np.array([1.0, 2.0, 4.0, 8.0])
    gain = gain_per_doubling(minutes, counts_of([0.3, 0.4, 0.5, 0.6], tracks=6))
    assert (gain.f1, gain.low, gain.high) == pytest.approx((0.1, 0.1, 0.1))
    flat = gain_per_doubling(minutes, counts_of([0.9, 0.5, 0.5, 0.5], tracks=6))
    assert flat.f1 == pytest.approx(0)
    assert gain_per_doubling(minutes, counts_of([0.3] * 4, tracks=4)) is None


def test_what_more_labels_bring_is_said_with_its_interval_and_its_limits():
    about = {"minutes": (5.0, 10.0), "f1": (0.5, 0.6), "recordings": 6}
    gain = Gain(0.1, 0.02, 0.2)
    curve = LearningCurve(**about, labelled_min=10.0, per_doubling=gain)
    told = "Another 10 minutes of labels would change the mean F1 by about +0.10"
    assert curve.describe() == f"{told} (95 %: +0.02 to +0.20)."
    unsure = LearningCurve(**about, labelled_min=10.0, per_doubling=Gain(0.1, -0.1, 1))
    assert unsure.describe().endswith("cannot be told from no change.")
    little = LearningCurve(**about, labelled_min=4.0, per_doubling=gain)
    assert little.describe().startswith("As many labels again (4.0 minutes)")
    assert little.gain_of(10) == gain  # not more than a doubling
    few = LearningCurve(
        minutes=(), f1=(), recordings=1, labelled_min=4.0, per_doubling=None
    )
    assert "needs 5 recordings with labels, there is 1" in few.describe()


def test_a_recording_unlike_the_labelled_ones_is_named_with_the_number():
    usual = [0.0, 1.0, 0.5, 0.2, 0.9, 0.1, 0.7, 0.4, 0.3, 0.6] * 3
    points = [*usual, *usual, *[5.0, 0.5] * 15, *usual]
    stretches = replace(
        stretches_at(points),
        names=("a", "b", "fast", "alike"),
        recording=np.repeat([0, 1, 2, 3], 30),
    )
    labelled = np.repeat([1.0, 1.0, 0.0, 0.0], 30)
    drift = find_drift(stretches, labelled)
    [found] = drift.unlike
    assert (found.name, found.share) == ("fast", 0.5)
    assert found.reason.startswith("speed of the slower animal (median) higher")
    assert drift.usual == 0
    assert find_drift(stretches, np.repeat([1.0, 0, 0, 0], 30)).usual is None


def test_labelled_recordings_that_differ_as_much_make_nothing_unlike():
    points = [*[0.0, 1.0] * 15, *[5.0, 6.0] * 15, *[2.0, 9.0] * 15]
    stretches = replace(
        stretches_at(points),
        names=("a", "b", "c"),
        recording=np.repeat([0, 1, 2], 30),
    )
    drift = find_drift(stretches, np.repeat([1.0, 1.0, 0.0], 30))
    assert drift.unlike == ()
    assert "(one in 100 % of its stretches)" in drift.describe()
    assert "cannot be said" in drift.describe()


def test_labels_that_came_with_the_tracks_give_the_actions(tmp_path):
    one = stored(("1>2 attack", 10, 20), watched=["1>2 attack", "1>1 rear"])
    assert ethogram_of(tmp_path, [one]).names == ("attack", "rear")
    write_ethogram(tmp_path, Ethogram((REAR,)))
    assert ethogram_of(tmp_path, [one]).names == ("rear",)


def test_two_who_scored_the_same_tracks_are_compared():
    frames, watched = 100, ["1>2 attack"]
    one = stored(("1>2 attack", 10, 20), watched=watched, frames=frames)
    other = stored(("1>2 attack", 10, 15), watched=watched, frames=frames)
    other = replace(other, video="2")
    alone = replace(one, video="3", tracking_hash="other tracks")
    [row] = agreement_rows([one, other, alone], [])
    assert (row["one"], row["other"]) == ("Lab/1", "Lab/2")
    assert row["bouts"] == [1, 1]
    # 95 of 100 frames agree; by chance 0.1 * 0.05 + 0.9 * 0.95 = 0.86
    assert row["kappa"] == pytest.approx((0.95 - 0.86) / 0.14)
    assert row["boutF1"] == 0  # half of the union is not more than half


# ── the server ──


@pytest.fixture
def session(tmp_path):
    project = project_of(tmp_path / "p", videos=4, seconds=24)
    write_ethogram(project.data, Ethogram((ATTACK, REAR)))
    session = StudioSession.of_project(project)
    yield session
    session.close()


@pytest.fixture
def address(session):
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as where:
        yield where


def ask(address, method, path, **options):
    root = address.split("#")[0]
    headers = {"x-mabe-token": TOKEN} | options.pop("headers", {})
    return httpx.request(method, f"{root}{path}", headers=headers, **options)


def test_two_windows_do_not_lose_each_others_labels(address):
    place = "api/recordings/0/labels"
    for number, rows in enumerate(([[5, 9]], [[20, 30]])):
        add = [[*row, "attack", 1, 2] for row in rows]
        answer = ask(address, "POST", place, json={"version": 0, "add": add}).json()
        assert answer["version"] == number + 1
    assert [row[:2] for row in answer["bouts"]] == [[5, 9], [20, 30]]
    assert ask(address, "GET", place).json() == answer


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"version": 0, "add": [[5, 9, "swim", 1, 2]]}, "expected labels"),
        ({"version": 0, "add": [[5, 9999, "attack", 1, 2]]}, "600 frames"),
        ({"version": 0, "add": [[5, 9, "attack", 1, 7]]}, "expected animals"),
        ({"version": 0, "add": [[9, 5, "attack", 1, 2]]}, "start < stop"),
        ({"version": 0, "add": [[5, 9]]}, "labels"),
        ({"add": []}, "version"),
        ([], "labels"),
    ],
)
def test_edits_that_are_not_of_the_recording_change_nothing(
    session, address, sent, reason
):
    answer = ask(address, "POST", "api/recordings/0/labels", json=sent)
    assert 400 <= answer.status_code < 500
    assert reason in answer.json()["error"]
    assert not session.labels.read("Lab/1", frames=600).bouts


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "api/project"),
        ("POST", "api/job/train"),
        ("PUT", "api/ethogram"),
        ("POST", "api/recordings/0/labels"),
        ("GET", "api/video?recording=0"),
    ],
)
def test_requests_without_the_secret_or_of_other_pages_are_refused(
    address, method, path
):
    assert ask(address, method, path, headers={"x-mabe-token": "x"}).status_code == 401
    for other in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        assert ask(address, method, path, headers=other).status_code == 403


def wait_for(job):
    end = time.monotonic() + 20
    while job.is_running and time.monotonic() < end:
        time.sleep(0.02)


def test_a_training_that_is_cancelled_or_cannot_begin_leaves_no_round(session):
    session.start("train")
    with pytest.raises(DataError, match="please wait"):
        session.start("train")
    session.job.cancel()
    assert session.job.process.wait(20) != 0
    assert session.job.to_json()["cancelled"]
    session.start("train")  # nothing is labelled
    session.job.process.wait(120)
    wait_for(session.job)
    assert "label a few bouts first" in session.job.error
    assert finished_rounds(session.data) == []


def test_work_goes_to_the_worker_that_waits_and_without_one_to_a_new_process(tmp_path):
    waiting = WaitingWorker()
    assert waiting.take("predict", tmp_path) is None
    waiting.prepare()
    waiting.prepare()  # one is enough
    first = waiting._process
    job = start_job("predict", tmp_path, lambda: None, waiting=waiting)
    assert job.process is first
    assert first.wait(120) == 2
    wait_for(job)
    assert "train first" in job.error
    other = start_job("read", tmp_path, lambda: None, waiting=waiting)
    assert other.process is not first
    other.cancel()
    waiting.prepare()
    left = waiting._process
    waiting.end()
    assert left.poll() is not None
    assert waiting.take("predict", tmp_path) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_worker_that_waits_hears_no_ctrl_c_and_one_that_has_ended_is_replaced(
    tmp_path,
):
    waiting = WaitingWorker()
    waiting.prepare()
    process = waiting._process
    assert os.getpgid(process.pid) != os.getpgid(0)
    process.kill()
    process.wait()
    process.returncode = None  # as if it ended just after it was asked
    process.poll = lambda: None
    assert waiting.take("predict", tmp_path) is None


def test_work_whose_server_is_gone_ends_in_silence(monkeypatch):
    def nobody_reads(*_, **__):
        raise BrokenPipeError

    def fail():
        raise DataError("and nobody hears it")

    monkeypatch.setattr("builtins.print", nobody_reads)
    assert [run_job(work) for work in (lambda: None, fail)] == [1, 1]


def test_a_worker_that_waits_ends_with_its_server(tmp_path):
    waiting = WaitingWorker()
    waiting.prepare()
    process = waiting._process
    process.stdin.close()  # as the system does for a server that was killed
    assert process.wait(120) == 0
    assert waiting.take("train", tmp_path) is None


def test_the_full_recipe_becomes_a_round_that_the_page_uses(tmp_path):
    write_fights(tmp_path / "p", videos=2, seconds=24)
    session = StudioSession.of_project(open_project(tmp_path / "p", Project()))
    quick = {"tree_rounds": 20, "tree_min_rows": 5, "steps_per_epoch": 1}
    small = {**quick, "epochs": 1, "gru_width": 8, "batch_size": 2, "folds": 2}
    train_full(session.data, small, executor=HERE)
    session.load_rounds()
    [row] = overview(session)["rounds"]
    assert row["recipe"] == "full"
    [attack] = overview(session)["round"]["actions"]
    assert (attack["name"], attack["bouts"], attack["recordings"]) == ("attack", 6, 2)
    assert attack["f1"] is not None
    assert RecordingPages(session).predictions(0)["views"]
    assert not (session.data / "studio/full").exists()


def test_the_full_recipe_of_one_labelled_recording_says_what_it_needs(tmp_path):
    write_fights(tmp_path / "p", videos=1)
    session = StudioSession.of_project(open_project(tmp_path / "p", Project()))
    with pytest.raises(DataError, match="labelled in 1 of 1 recordings"):
        train_full(session.data)


# ── in a browser ──


@pytest.fixture(autouse=True)
def fresh_window(request):
    if "browser" in request.fixturenames:
        request.getfixturevalue("browser").renew()


PAGE = "window.mabe.page"
SAVED = "document.getElementById('state').textContent === 'saved'"


def click(browser, what):
    browser.run(f"document.querySelector('{what}').click()")


def text_of(browser, what):
    return browser.run(f"return document.getElementById('{what}').textContent")


def open_recording(browser, place):
    click(browser, f"#table-body tr:nth-child({place + 1}) button")
    browser.wait(f"{PAGE}.recording?.index === {place}")
    browser.wait("document.getElementById('waiting').hidden")


def label(browser, start, stop, key="1"):
    """Label frames [start, stop) by keys alone, but for the place to begin at."""
    browser.run(f"{PAGE}.seek({start})")
    browser.keys(key)
    browser.run(f"{PAGE}.seek({stop - 2})")
    browser.keys("\ue014", key)  # → and the key again


def control(browser, key):
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', "
    browser.run(press + f"{{key: '{key}', ctrlKey: true, bubbles: true}}))")


BLOCK = int(4 * FPS)
"""Fights and pauses alternate."""


def label_fights(browser, place):
    """Label all fights of a recording, and say that all of it was watched."""
    click(browser, "#to-project")
    open_recording(browser, place)
    for number in range(6):
        if (number + place) % 2 == 0:
            label(browser, number * BLOCK, (number + 1) * BLOCK)
    browser.keys("W")
    browser.wait(SAVED)


def check_score_of_three_recordings(browser):
    told = text_of(browser, "score-text")
    assert told.startswith(("Mean F1 0.9", "Mean F1 1.00"))
    assert "no interval" in told
    assert "mean of 1 scored action (no" in told


def check_trust_of_three_recordings(browser):
    """Wait for what is measured after a training, and check what the page says."""
    browser.wait(
        "window.mabe.project.state.trust || window.mabe.project.state.trustJob?.error",
        400,
    )
    told = "return document.getElementById('{}').textContent"
    curve = browser.run(told.format("curve-text"))
    assert "needs 5 recordings with labels, there are 3" in curve
    agreement = browser.run(told.format("agreement-text"))
    assert "No recording was labelled twice" in agreement


def check_suggestion_of_the_last(browser):
    """Check that it lists what would be accepted, and that Enter plays it."""
    click(browser, "#suggestions-here button")
    browser.wait("!document.getElementById('suggestion').hidden")
    told = browser.run("return document.getElementById('suggestion').textContent")
    assert "4, 0:" in told
    assert "predicted: attack, animal 1 → animal 2, " in told
    browser.run("document.querySelector('#suggestions-here button').focus()")
    browser.keys("\ue007")  # goes there, and leaves the button
    browser.wait("document.activeElement.id === 'detail'")
    browser.keys("\ue007")
    browser.wait(f"{PAGE}.playing")
    browser.keys(" ")


@in_firefox
def test_labels_by_keys_are_learned_and_a_suggestion_is_answered(browser, tmp_path):
    write_fights(tmp_path / "p", videos=2, seconds=12, labelled=False)
    session = StudioSession.of_project(open_project(tmp_path / "p", Project()))
    session.waiting = WaitingWorker()
    session.start("read")
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as address:
        browser.open(address)
        browser.wait("window.mabe?.project.state?.isRead", 60)
        browser.run("document.getElementById('action-name').focus()")
        browser.keys("attack", "\ue007")
        browser.wait("window.mabe.project.state.ethogram.length === 1")
        open_recording(browser, 0)
        label(browser, 0, BLOCK)
        browser.keys("W")
        browser.wait(SAVED)
        browser.wait("!document.getElementById('train-here').disabled", 20)
        click(browser, "#train-here")
        browser.wait("window.mabe.project.state.round", 120)
        browser.wait("window.mabe.suggestions.list.some(s => s.recording === 1)", 20)
        browser.keys("s")
        browser.wait(f"{PAGE}.recording?.index === 1 && {PAGE}.views?.length", 20)
        browser.wait("!document.getElementById('suggestion').hidden")
        browser.keys("x")  # nothing of it is an attack, and all is labelled now
        state = "document.getElementById('state').textContent"
        browser.wait(f"{state} === 'no more suggestions'")
        assert browser.run("return document.getElementById('suggestion').hidden")
        assert browser.errors() == []
        browser.open("about:blank")  # it asks the server no more
    session.close()
    labels = session.labels.read("Lab/2", frames=300)
    assert (labels.bouts, len(labels.coverage)) == ((), 2)
    first = session.labels.read("Lab/1", frames=300)
    assert first.bouts == (bout(0, BLOCK),)


def check_finished(predictions):
    """Check what *Finish* has written of four recordings."""
    written = read_predictions(predictions)
    assert len(written.recordings) == 4
    assert [each.action for each in written.recordings[3].bouts] == ["attack"] * 3
    boris = json.loads((predictions / "boris/predictions.boris").read_text())
    assert len(boris["observations"]) == 4


@needs_browser
def test_from_no_labels_to_a_trained_model(browser, tmp_path):
    write_fights(tmp_path / "p", videos=4, seconds=24, labelled=False)
    session = StudioSession.of_project(open_project(tmp_path / "p", Project()))
    session.start("read")
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as address:
        browser.open(address)
        browser.wait("window.mabe?.project.state?.isRead", 60)
        assert browser.run("return document.getElementById('train').disabled")
        browser.run("document.getElementById('action-name').focus()")
        browser.keys("attack", "\ue007")
        browser.wait("window.mabe.project.state.ethogram.length === 1")

        for place in range(3):
            label_fights(browser, place)
        control(browser, "z")  # takes "watched" back
        browser.wait(f"{PAGE}.labels.watched.length === 0 && {SAVED}")
        control(browser, "y")
        browser.wait(f"{PAGE}.labels.watched.length === 1 && {SAVED}")
        infos = read_index(session.data)
        assert (
            read_labels(infos[0])[0]
            == read_labels(read_index(write_fights(tmp_path / "true", videos=1))[0])[0]
        )

        browser.wait("!document.getElementById('train-here').disabled", 20)
        click(browser, "#train-here")
        browser.wait("window.mabe.project.state.round", 120)
        click(browser, "#to-project")
        check_score_of_three_recordings(browser)
        check_trust_of_three_recordings(browser)

        open_recording(browser, 3)  # which nobody has labelled
        browser.wait(f"{PAGE}.views?.length && window.mabe.timeline.predicted().length")
        spans = browser.run("return window.mabe.timeline.predicted()")
        assert len(spans) == 3
        assert abs(spans[0][0] - BLOCK) <= 10
        assert not session.labels.read("Lab/4", frames=600).bouts
        check_suggestion_of_the_last(browser)
        browser.run(f"{PAGE}.seek(0)")
        browser.keys("n", "a")  # accepts the first
        browser.wait(f"{PAGE}.labels.bouts.length === 1 && {SAVED}")
        browser.keys("n", "x")  # rejects the second
        browser.wait(f"{PAGE}.labels.coverage.length === 2 && {SAVED}")
        assert len(session.labels.read("Lab/4", frames=600).bouts) == 1
        click(browser, "#to-project")
        click(browser, "#predict")
        browser.wait(
            "document.getElementById('job-text').textContent.includes('/')", 60
        )
        browser.run("document.querySelectorAll('#table-body button')[1].click()")
        browser.wait(
            "document.getElementById('job-text').textContent.endsWith('1.mp4')", 60
        )
        assert read_facts(session.data / "films/Lab/1.mp4").frames == 24 * FPS
        assert browser.errors() == []
    session.close()
    check_finished(session.data / "predictions")
    model = finished_rounds(session.data)[-1].folder / "model"
    assert json.loads((model / "best.json").read_text())


@needs_browser
def test_a_film_that_browsers_do_not_play_is_copied_and_shown(
    browser, address, session
):
    session.films["Lab/1"] = write_film(session.project.root / "1.avi", frames=50)
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    click(browser, "#table-body tr:first-child td button")
    shown = "document.querySelector('#table-body tr:first-child td:nth-child(4)')"
    browser.wait(f"{shown}.textContent === '1.avi'", 60)
    [copy] = (session.data / "studio/films").iterdir()
    assert read_facts(copy).frames == 50
    open_recording(browser, 0)
    browser.wait("document.getElementById('film').readyState >= 2", 20)
    size = "document.getElementById('film').videoWidth"
    assert browser.run(f"return {size}") == 64
    assert browser.errors() == []


@needs_browser
def test_two_tabs_see_each_others_labels(browser, address, session):
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    open_recording(browser, 0)
    label(browser, 10, 20)
    browser.wait(SAVED)
    ask(
        address,
        "POST",
        "api/recordings/0/labels",
        json={"version": 0, "add": [[50, 60, "attack", 1, 2]]},
    )
    label(browser, 100, 110)
    browser.wait(f"{PAGE}.labels.bouts.length === 3 && {SAVED}")
    control(browser, "z")
    browser.wait(f"{PAGE}.labels.bouts.length === 2 && {SAVED}")
    kept = session.labels.read("Lab/1", frames=600).bouts
    assert [(each.start, each.stop) for each in kept] == [(10, 20), (50, 60)]


@needs_browser
def test_a_stretch_is_repeated_and_an_animal_is_shown_near(browser, address, session):
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    open_recording(browser, 0)
    browser.wait(f"{PAGE}.poses.at(0)")
    zoom = "return window.mabe.stage.scale().zoom"
    whole = browser.run(zoom)
    browser.keys("z")  # the first animal
    assert browser.run("return document.getElementById('follow').value") == "0"
    browser.wait("window.mabe.stage.centre")
    assert browser.run(zoom) == pytest.approx(4 * whole)
    browser.keys("zz")  # the other one, then all
    assert browser.run(zoom) == pytest.approx(whole)
    label(browser, 10, 30)
    browser.wait(SAVED)
    browser.run(f"{PAGE}.seek(0)")
    browser.run(f"{PAGE}.speed = 0.5")
    browser.keys("l", "n", "\ue007")  # repeat; the next bout; play it
    for _ in range(2):
        browser.wait(f"{PAGE}.playing && {PAGE}.frame > 22")
        browser.wait(f"{PAGE}.playing && {PAGE}.frame < 18")
    browser.keys("l")
    browser.wait(f"!{PAGE}.playing && {PAGE}.frame === 29")
    assert browser.errors() == []


@needs_browser
def test_a_held_key_is_a_bout_and_shift_makes_a_no(browser, address, session):
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    open_recording(browser, 1)
    browser.run(f"{PAGE}.seek(30)")
    browser.keys("2", "\ue014", "\ue014", "2")
    browser.wait(f"{PAGE}.labels.bouts.length === 1 && {SAVED}")
    browser.run(f"{PAGE}.seek(100)")
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '!', "
    press += "code: 'Digit1', shiftKey: true, bubbles: true}))"
    browser.run(press)
    browser.run(f"{PAGE}.seek(149)")
    browser.run(press)
    browser.wait(f"{PAGE}.labels.coverage.length === 2 && {SAVED}")
    labels = session.labels.read("Lab/2", frames=600)
    assert labels.bouts == (bout(30, 33, "rear", 1, 1),)
    assert span(100, 150) in labels.coverage

    browser.run(
        "document.getElementById('hold').checked = true; document.activeElement.blur()"
    )
    event = "dispatchEvent(new KeyboardEvent('{}', {{key: '1', bubbles: true}}))"
    browser.run(f"{PAGE}.seek(200); document.body.{event.format('keydown')}")
    browser.run(f"{PAGE}.seek(219); document.body.{event.format('keyup')}")
    browser.wait(f"{PAGE}.labels.bouts.length === 2 && {SAVED}")
    assert bout(200, 220) in session.labels.read("Lab/2", frames=600).bouts


def press(browser, key, code, **held):
    """Press a key of a keyboard with another layout, or with Caps Lock on."""
    event = json.dumps({"key": key, "code": code, "bubbles": True, **held})
    browser.run(
        f"document.body.dispatchEvent(new KeyboardEvent('keydown', {event}));"
        f"document.body.dispatchEvent(new KeyboardEvent('keyup', {event}))"
    )


@needs_browser
def test_after_a_field_the_keys_act_again_on_any_keyboard(browser, address, session):
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    open_recording(browser, 0)
    browser.wait(f"!!{PAGE}.views")
    assert text_of(browser, "uncertain-note") == "Nothing is predicted yet."
    browser.run("document.getElementById('pair').focus()")
    browser.keys("\ue015")  # ↓, the other direction
    assert browser.run(f"return {PAGE}.pair") == [2, 1]
    browser.keys("1")
    frame = "const field = document.getElementById('frame'); field.focus();"
    browser.run(frame + "field.select()")
    browser.keys("50", "\ue00c")  # Esc leaves the field, and the bout begun
    assert browser.run(f"return [{PAGE}.frame, {PAGE}.begun.start]") == [0, 0]
    browser.run(frame + "field.select()")
    browser.keys("24,0", "\ue007")  # which is no frame
    assert browser.run(f"return {PAGE}.frame") == 0
    browser.run(frame + "field.select()")
    browser.keys("24", "\ue007")
    assert browser.run(f"return {PAGE}.frame") == 24
    press(browser, "1", "Digit1")
    browser.wait(f"{PAGE}.labels.bouts.length === 1 && {SAVED}")
    assert session.labels.read("Lab/1", frames=600).bouts == (
        bout(0, 25, agent=2, target=1),
    )
    told = text_of(browser, "watched-note")
    assert told.startswith("0:01 of 0:24, but not for rear.")
    press(browser, "W", "KeyW")  # with Caps Lock
    assert browser.run(f"return {PAGE}.watching") == 24
    browser.run(f"{PAGE}.seek(49)")
    press(browser, "ц", "KeyW")  # of a Russian layout
    browser.wait(f"{PAGE}.labels.watched.length === 1 && {SAVED}")
    press(browser, "я", "KeyZ", ctrlKey=True)
    browser.wait(f"!{PAGE}.labels.watched.length && {SAVED}")
    assert browser.errors() == []


@needs_browser
def test_edits_are_undone_after_another_recording_was_open(browser, address, session):
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    for place in (0, 1):
        click(browser, "#to-project")
        open_recording(browser, place)
        label(browser, 10, 20)
        browser.wait(SAVED)
    click(browser, "#to-project")
    open_recording(browser, 0)
    control(browser, "z")
    browser.wait(f"!{PAGE}.labels.bouts.length && {SAVED}")
    assert not session.labels.read("Lab/1", frames=600).bouts
    assert session.labels.read("Lab/2", frames=600).bouts
    control(browser, "y")
    browser.wait(f"{PAGE}.labels.bouts.length && {SAVED}")
    control(browser, "y")
    assert text_of(browser, "state") == "nothing to redo in this recording"


@needs_browser
def test_a_refused_action_says_so_beside_add_until_the_next_try(browser, address):
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    browser.run("document.getElementById('action-name').focus()")
    browser.keys("rear", "\ue007")
    note = "document.getElementById('action-note')"
    browser.wait(f"!{note}.hidden")
    assert text_of(browser, "action-note") == "two actions have the name rear"
    assert browser.run(f"return {note}.form === undefined && !!{note}.closest('form')")
    [refusal] = browser.errors()
    assert "400" in refusal
    browser.keys("2", "\ue007")  # rear2
    browser.wait(f"{note}.hidden && window.mabe.project.state.ethogram.length === 3")


@needs_browser
def test_where_the_server_has_ended_the_page_says_what_to_do(browser, session):
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as address:
        browser.open(address)
        browser.wait("window.mabe?.project.state")
        open_recording(browser, 0)
    label(browser, 10, 20)
    state = "document.getElementById('state').textContent"
    browser.wait(f"{state}.startsWith('not saved: no connection')")
    told = text_of(browser, "state")
    assert "start `mabe studio` again, and open the new address" in told
    assert "make the edits since the last “saved” again" in told
    browser.run(f"{PAGE}.labels.unsaved = false")  # no question on leaving
    browser.open("about:blank")
    browser.errors()


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("is_dark", [False, True])
def test_both_pages_fit_their_window(browser, address, width, is_dark):
    browser.resize(width, 860)
    browser.dark(is_dark)
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    wide = "return document.documentElement.scrollWidth"
    assert browser.run(wide) <= width
    open_recording(browser, 0)
    time.sleep(0.1)
    assert browser.run(wide) <= width
    for what in ("button", "input", "select", "canvas"):
        unnamed = f"""return [...document.querySelectorAll('{what}')].filter(each =>
            !each.textContent.trim() && !each.title && !each.closest('label') &&
            !each.getAttribute('aria-label')).map(each => each.id)"""
        assert browser.run(unnamed) == []
    assert browser.errors() == []
