"""Predictions written for other programs and read back: the same to the frame."""

import json
import warnings
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mabe.bouts import NO_ANIMAL, Bout, RecordingBouts
from mabe.cli.main import main
from mabe.errors import DataError
from mabe.io.behaviour_names import map_labels
from mabe.io.exporter import WRITERS, export
from mabe.io.label_bouts import to_bouts
from mabe.io.predictions import (
    PredictionProvenance,
    Predictions,
    RecordingProvenance,
    read_predictions,
    write_predictions,
    write_provenance,
)
from mabe.io.project import Project
from mabe.io.readers.annotations import to_frames
from mabe.io.readers.formats import read_file
from mabe.io.readers.left_out import NothingToImport
from mabe.io.writers.boris import boris_events
from mabe.runtime.files import hash_file

ACTIONS = ("sniff", "rear", 'à côté, "quoted"')
ANIMALS = ("adult", "juvenile", "third")
LENGTH = 5000


def provenance(*sources, task="pair"):
    return PredictionProvenance(
        mabe="0.1.0",
        model="best.safetensors",
        model_hash="abc123",
        task=task,
        actions=ACTIONS,
        rules={"kind": task, "threshold": 0.5},
        rate_fps=33.3,
        variants=1,
        sources=sources,
    )


def source(video="day1", fps=30.0, animals=ANIMALS):
    return RecordingProvenance(
        lab="lab",
        video=video,
        fps=fps,
        length=LENGTH,
        animals=animals,
        tracks_hash="def456",
        file="day1.h5",
        file_hash="789",
    )


@st.composite
def stories(draw):
    """Draw a rate and bouts of several pairs, touching or apart."""
    fps = draw(st.sampled_from([10.0, 25.0, 29.97, 30.0, 59.94, 120.0]))
    is_scene = draw(st.booleans())
    bouts = []
    numbers = range(1, len(ANIMALS) + 1)
    views = [(a, t) for a in numbers for t in numbers]
    names = [(NO_ANIMAL, NO_ANIMAL)] if is_scene else views
    for agent, target in draw(st.lists(st.sampled_from(names), unique=True)):
        borders = draw(
            st.lists(st.integers(0, LENGTH), min_size=2, max_size=8, unique=True)
        )
        last = None
        for start, stop in zip(sorted(borders), sorted(borders)[1:], strict=False):
            action = draw(st.sampled_from((None, *ACTIONS)))
            # Two bouts of one action that touch are one.
            if action is not None and action != last:
                bouts.append((start, stop, action, agent, target))
            last = action if action != last else None
    return fps, () if is_scene else ANIMALS, bouts


def tell(story):
    """Return what `mabe predict` would have found."""
    fps, animals, bouts = story
    return recording(
        *sorted(Bout(*bout, 0.5) for bout in bouts), fps=fps, animals=animals
    )


def recording(*bouts, video="day1", fps=30.0, animals=ANIMALS):
    return RecordingBouts(
        lab="lab", video=video, fps=fps, length=LENGTH, animals=animals, bouts=bouts
    )


def provenance_of(each):
    return provenance(source(fps=each.fps, animals=each.animals))


def facts(each):
    """What has to come back: when, what, who, to whom."""
    return sorted(
        (b.start, b.stop, b.action, each.name_of(b.agent), each.name_of(b.target))
        for b in each.bouts
    )


def read_back(path, fps):
    [annotations] = read_file(path).annotations
    found = []
    for event in to_frames(annotations, fps).events:
        target = event.subject if event.target == "self" else event.target
        place = (round(event.start), round(event.stop))
        found.append((*place, event.behaviour, event.subject, target))
    return sorted(found), annotations


LEAN = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(stories())
@LEAN
def test_boris_there_and_back(tmp_path, story):
    each = tell(story)
    paths = WRITERS["boris"](tmp_path, [each], provenance_of(each))
    found, annotations = read_back(paths[0], each.fps)

    assert found == facts(each)
    assert annotations.behaviours == ACTIONS
    assert annotations.fps == each.fps
    assert round(annotations.length * each.fps) == LENGTH


@given(stories().filter(lambda story: story[2]))
@LEAN
@pytest.mark.parametrize("to", ["csv", "calms21"])
def test_tables_and_json_there_and_back(tmp_path, to, story):
    each = tell(story)
    paths = WRITERS[to](tmp_path, [each], provenance_of(each))
    assert read_back(paths[0], each.fps)[0] == facts(each)


@given(stories().filter(lambda story: story[2]))
@settings(LEAN, max_examples=8)
def test_slp_there_and_back(tmp_path, story):
    """As predicted events, with subject and target, and both ends included."""
    sleap_io = pytest.importorskip("sleap_io")
    each = tell(story)
    [path] = WRITERS["slp"](tmp_path, [each], provenance_of(each))
    labels = sleap_io.load_slp(str(path), open_videos=False)

    def name(track):
        return track.name if track else ""

    found = sorted(
        (
            event.start_frame,
            event.end_frame + 1,
            event.type.name,
            name(event.subject),
            name(event.target or event.subject),
        )
        for event in labels.events
    )
    assert found == facts(each)
    assert all(event.is_predicted for event in labels.events)
    assert {each.name for each in labels.event_types} == set(ACTIONS)
    assert labels.events[0].video.filename == "day1.mp4"
    with pytest.raises(NothingToImport, match="predicted"):
        read_file(path)


def test_nwb_times_are_on_the_clock_of_the_session(tmp_path):
    pytest.importorskip("ndx_ethogram")
    each = replace(recording(Bout(25, 50, "rear", 1, 1), fps=25.0), start_s=4.0)
    [path] = WRITERS["nwb"](tmp_path, [each], provenance_of(each))

    [annotations] = read_file(path).annotations
    assert (annotations.clock, annotations.by) == ("session", "program")
    [event] = annotations.events
    assert (event.start, event.stop) == (5.0, 6.0)


@given(stories())
@settings(LEAN, max_examples=8)
def test_nwb_there_and_back(tmp_path, story):
    pytest.importorskip("ndx_ethogram")
    each = tell(story)
    [path] = WRITERS["nwb"](tmp_path, [each], provenance_of(each))
    found, annotations = read_back(path, each.fps)

    assert found == facts(each)
    assert annotations.behaviours == ACTIONS


@pytest.fixture
def folder(tmp_path):
    """Write what `mabe predict` writes of two recordings."""
    sources = (source("day1"), source("day2", animals=("adult", "juvenile")))
    write_provenance(tmp_path, provenance(*sources))
    (tmp_path / "bouts.csv").write_text(
        "lab,video,agent,target,action,start_frame,stop_frame,start_s,stop_s,probability\n"
        "lab,day1,mouse1,mouse2,sniff,10,20,0.333,0.667,0.9\n"
        "lab,day1,mouse3,self,rear,15,40,0.5,1.333,0.8\n",
        encoding="utf-8",
    )
    return tmp_path


def test_predictions_get_the_labs_own_names(folder):
    first, second = read_predictions(folder).recordings

    assert first.bouts == (
        Bout(10, 20, "sniff", 1, 2, 0.9),
        Bout(15, 40, "rear", 3, 3, 0.8),
    )
    assert facts(first) == [
        (10, 20, "sniff", "adult", "juvenile"),
        (15, 40, "rear", "third", "third"),
    ]
    assert second.bouts == ()


def rows_of(folder):
    return (folder / "bouts.csv").read_text(encoding="utf-8").splitlines()


@given(stories())
@LEAN
def test_a_folder_of_predictions_there_and_back(tmp_path, story):
    each = tell(story)
    task = "pair" if each.animals else "scene"
    about = replace(provenance_of(each), task=task, has_lab_names=True)
    written = Predictions(about, (each,))
    write_predictions(tmp_path, written)
    assert read_predictions(tmp_path) == written


def test_bouts_csv_has_the_labs_names_where_they_tell_all_animals_apart(tmp_path):
    cases = {
        ("adult", "juvenile"): ["adult,juvenile", "juvenile,self"],
        ("mouse2", "mouse1"): ["mouse2,mouse1", "mouse1,self"],
        ("7", "8"): ["7,8", "8,self"],
        ("twin", "twin"): ["mouse1,mouse2", "mouse2,self"],
        (): ["mouse1,mouse2", "mouse2,self"],
    }
    bouts = Bout(0, 9, "sniff", 1, 2, 0.5), Bout(9, 12, "rear", 2, 2, 0.5)
    for animals, expected in cases.items():
        each = recording(*bouts, animals=animals)
        written = Predictions(replace(provenance_of(each), has_lab_names=True), (each,))
        write_predictions(tmp_path, written)
        names = [",".join(row.split(",")[2:4]) for row in rows_of(tmp_path)[1:]]
        assert names == expected
        assert read_predictions(tmp_path) == written


def test_in_an_older_folder_mouse1_is_the_first_animal_whatever_the_names(folder):
    write_provenance(folder, provenance(source(animals=("mouse2", "mouse1", "x"))))
    [each] = read_predictions(folder).recordings
    assert [(b.agent, b.target) for b in each.bouts] == [(1, 2), (3, 3)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("lab,day1,adult,mouse2,sniff,10,20,0,1,0.9", "called 'adult'"),
        ("lab,day1,mouse1,mouse2,sniff,20,20,0,1,0.9", "found 20 to 20"),
        ("lab,day1,mouse1,mouse2,sniff,,20,0,1,0.9", "bouts.csv:2"),
        ("lab,day7,mouse1,mouse2,sniff,10,20,0,1,0.9", "lab/day7"),
    ],
)
def test_a_broken_row_is_refused_with_its_line(folder, row, reason):
    header = rows_of(folder)[0]
    (folder / "bouts.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    with pytest.raises(DataError, match=reason):
        read_predictions(folder)


@pytest.mark.parametrize("to", WRITERS)
def test_every_output_carries_its_provenance(folder, to):
    if to == "nwb":
        pytest.importorskip("ndx_ethogram")
    if to == "slp":
        pytest.importorskip("sleap_io")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        *files, beside = export(folder, to, folder / "out")

    about = json.loads(beside.read_text(encoding="utf-8"))
    assert about["model_hash"] == "abc123"
    assert about["rules"]["threshold"] == 0.5
    assert about["sources"][0]["file_hash"] == "789"
    if to in ("boris", "nwb", "calms21", "csv", "slp"):
        assert b"abc123" in files[0].read_bytes()


def test_the_same_export_twice_has_the_same_bytes(folder):
    for to in ("boris", "csv", "calms21", "submission"):
        once = [hash_file(path) for path in export(folder, to, folder / "a")]
        assert once == [hash_file(path) for path in export(folder, to, folder / "b")]


def test_the_table_to_paste_is_what_boris_takes_from_its_clipboard(folder):
    text = (export(folder, "boris", folder / "out")[1]).read_text(encoding="utf-8")

    assert not text.endswith("\n")
    lines = [line.split("\t") for line in text.split("\n")]
    assert {len(line) for line in lines} == {6}
    assert lines[0][:4] == ["0.333", "adult", "sniff", "juvenile"]
    assert lines[0][5] == "10"


def test_where_bouts_touch_the_stop_comes_first():
    bouts = (
        Bout(0, 30, "sniff", 1, 2, 1.0),
        Bout(30, 60, "sniff", 1, 2, 1.0),
    )
    events = boris_events(recording(*bouts))
    assert [(time_s, bool(comment)) for time_s, *_, comment, _ in events] == [
        *((0, True), (1, False), (1, True), (2, False)),  # a comment: it starts
    ]


def test_a_boris_project_is_complete(folder):
    [path, *_] = export(folder, "boris", folder / "out")
    project = json.loads(path.read_text(encoding="utf-8"))

    assert {s["name"] for s in project["subjects_conf"].values()} == set(ANIMALS)
    codes = [each["code"] for each in project["behaviors_conf"].values()]
    assert codes == list(ACTIONS)
    day1 = project["observations"]["day1"]
    assert day1["media_info"]["fps"] == {"day1.mp4": 30.0}
    assert len(day1["events"]) == 4
    assert "day2" in project["observations"]


def test_classes_of_a_scene_exclude_each_other_in_boris(folder):
    def excluded_of(to):
        [path, *_] = export(folder, "boris", to)
        project = json.loads(path.read_text(encoding="utf-8"))
        return {b["code"]: b["excluded"] for b in project["behaviors_conf"].values()}

    assert set(excluded_of(folder / "pair").values()) == {""}
    write_provenance(folder, provenance(source("day1"), task="scene"))
    one, *others = ACTIONS
    assert excluded_of(folder / "scene")[one] == ",".join(others)


def test_a_boris_project_is_read_back_as_labels_of_animals(folder):
    [path, *_] = export(folder, "boris", folder / "out")
    day1 = to_frames(read_file(path).annotations[0], 30.0)
    mapping = map_labels(ANIMALS, day1.subjects, day1.behaviours, Project())

    assert to_bouts(day1, mapping)[0] == (
        Bout(10, 20, "sniff", 1, 2),
        Bout(15, 40, "rear", 3, 3),
    )


def test_scenes_cannot_be_submitted_and_old_folders_are_told(folder, tmp_path, capsys):
    write_provenance(folder, provenance(source("day1"), task="scene"))
    assert main(["export", str(folder), "--to", "submission"]) == 2
    assert "task: pair" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "no"), "--to", "csv"]) == 2
    assert "Predict again" in capsys.readouterr().err
