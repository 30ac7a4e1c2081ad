"""Rate, scale, animals, skeleton and zones, settled on the studio's page."""

import json
from dataclasses import replace

import httpx
import numpy as np
import pytest
import yaml
from accessibility import violations
from browser import needs_browser, served
from films import write_film
from hypothesis import given, settings
from hypothesis import strategies as st
from kills import killed_at
from lab_folders import write_table, write_tracks
from stories import FPS, write_fights
from test_exports import provenance, source

from mabe.bouts import Bout, RecordingBouts, WatchedSpan
from mabe.errors import DataError, MabeError
from mabe.io.project import Project, load_project
from mabe.io.project_edits import edit_yaml
from mabe.io.readers.kaggle import read_index, read_labels
from mabe.io.writers.boris import write_boris
from mabe.viz.studio import label_import
from mabe.viz.studio.ethogram import Ethogram, Kind, StudioAction, write_ethogram
from mabe.viz.studio.incoming import load_incoming, read_file
from mabe.viz.studio.label_edits import LabelEdit
from mabe.viz.studio.label_export import labels_as_boris
from mabe.viz.studio.label_import import (
    import_json,
    start_import,
    take_import,
    undo_import,
)
from mabe.viz.studio.layout_table import read_rows, write_rows
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.reading import read
from mabe.viz.studio.server import build_app
from mabe.viz.studio.session import StudioSession
from mabe.viz.studio.settings import Change, change_values, settled
from mabe.viz.studio.settings_form import settings_json, settings_values, settle
from mabe.viz.studio.settling import complete, decide, propose, try_proposal

TOKEN = "secret"
WRITTEN = """\
# Our lab.
fps: 25  # of the camera
# Where the mice live:
zones:
  # the middle
  centre: {circle: [10, 20, 5]}

# The rest.
lab: Лаборатория
"""
CIRCLE = {"circle": [10, 20, 5]}
NO_ZONE = {"all": None, "own": {}}


def numbers(all_=None, **own):
    return {"all": all_, "own": own}


# ── the file ──


def test_a_changed_value_leaves_all_other_lines_and_their_comments():
    values = yaml.safe_load(WRITTEN)
    values["fps"] = 30
    values["zones"]["corner"] = {"polygon": [[0, 0], [9, 0], [0, 9]]}
    values["pixels_per_cm"] = 4.5
    edited = edit_yaml(WRITTEN, values)
    assert yaml.safe_load(edited) == values
    added = "  corner: {polygon: [[0, 0], [9, 0], [0, 9]]}\n"
    expected = WRITTEN.replace("fps: 25", "fps: 30") + "pixels_per_cm: 4.5\n"
    assert edited == expected.replace("5]}\n", f"5]}}\n{added}")


def test_a_removed_key_takes_its_line_with_it_and_no_other():
    values = yaml.safe_load(WRITTEN)
    del values["fps"]
    edited = edit_yaml(WRITTEN, values)
    assert edited == WRITTEN.replace("fps: 25  # of the camera\n", "")


names = st.sampled_from(["centre", "no", "yes", "a: b", "Ёж", "1", "# x", "- y", "{z"])
plain = st.one_of(st.none(), st.integers(-9, 99), names, st.lists(st.integers(0, 9)))
deep = st.recursive(plain, lambda each: st.dictionaries(names, each, max_size=3))
documents = st.dictionaries(names, deep, max_size=4)


@settings(max_examples=50)
@given(documents, documents, st.sampled_from([True, False, None]))
def test_an_edited_document_holds_what_was_asked_for(before, after, style):
    text = yaml.safe_dump(before, default_flow_style=style, allow_unicode=True)
    assert (yaml.safe_load(edit_yaml(text, after)) or {}) == after


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "# no line end", "{fps: 3}"])
def test_files_without_lines_of_settings_get_them(text):
    edited = edit_yaml(text, {"fps": 30})
    assert yaml.safe_load(edited) == {"fps": 30}
    assert "#" not in text or edited.startswith(text)


# ── changes ──


def test_what_is_settled_for_one_recording_is_an_entry_of_it_and_goes_with_it():
    videos = ["cage1", "Клетка 2"]
    change = Change("fps", numbers(25), {"all": 25, "own": {"Клетка 2": 50.0}})
    values = change_values({"fps": 25}, [change], videos)
    assert values["recordings"] == [{"name": "Клетка 2", "fps": 50}]
    assert settled(values, videos)["fps"] == change.value
    back = Change("fps", change.value, numbers(25))
    assert change_values(values, [back], videos) == {"fps": 25}


@pytest.mark.parametrize(
    "recordings",
    [
        [{"tracks": "x/cage1.csv", "subjects": {"M": "a"}}],
        {"cage1": {"subjects": {"M": "a"}}},
    ],
)
def test_what_people_wrote_of_a_recording_stays(recordings):
    change = Change("zone", NO_ZONE, {"all": None, "own": {"cage1": CIRCLE}}, "centre")
    values = change_values({"recordings": recordings}, [change], ["cage1"])
    project = Project(**values)
    [own] = project.recordings
    assert own.subjects == {"M": "a"}
    assert list(own.zones) == ["centre"]
    assert settled(values, ["cage1"])["zones"] == {"centre": change.value}


def test_what_somebody_else_has_changed_meanwhile_is_not_replaced():
    first = Change("fps", numbers(), numbers(30))
    second = Change("fps", numbers(), numbers(50))
    other = Change("zone", NO_ZONE, {"all": CIRCLE, "own": {}}, "centre")
    values = change_values({}, [first], ["a"])
    with pytest.raises(DataError, match="fps was changed elsewhere"):
        change_values(values, [second], ["a"])
    both = change_values(values, [other], ["a"])
    assert both == {"fps": 30, "zones": {"centre": CIRCLE}}


def test_a_file_of_zones_is_not_replaced_by_one_that_is_drawn():
    everywhere = Change("zone", NO_ZONE, {"all": CIRCLE, "own": {}}, "centre")
    with pytest.raises(DataError, match=r"roi\.csv"):
        change_values({"zones": "roi.csv"}, [everywhere], ["a"])
    here = Change("zone", NO_ZONE, {"all": None, "own": {"a": CIRCLE}}, "centre")
    assert change_values({"zones": "roi.csv"}, [here], ["a"])["zones"] == "roi.csv"


# ── a project ──


@pytest.fixture
def session(tmp_path):
    """Two recordings of a and b, the first with a bout; project.yaml has a comment."""
    root = tmp_path / "p"
    for name in ("cage1", "cage2"):
        write_tracks(root, name)
    (root / "project.yaml").write_text("fps: 25  # of the camera\n")
    project = open_project(root, Project(fps=25, pixels_per_cm=2))
    write_ethogram(project.data, Ethogram((StudioAction("chase", "1", Kind.DIRECTED),)))
    session = StudioSession.of_project(project)
    edit = LabelEdit(add=(Bout(1, 3, "chase", 1, 2),))
    session.labels.apply("p/cage1", edit, frames=6)
    yield session
    session.close()


def settle_at_once(session, *changes):
    """Do in this process what the page has done in one of its own."""
    values = change_values(settings_values(session), changes, ["cage1", "cage2"])
    text = edit_yaml(session.project.settings_text(), values)
    propose(session.data, session.project.file, text)
    try_proposal(session.data)
    labels = {name: session.labels.read(name) for name in session.labels.infos}
    decide(session.data, session.project.videos, labels, last_round=0)


def test_settings_are_written_and_applied_and_labels_stay(session):
    zone = Change("zone", NO_ZONE, {"all": CIRCLE, "own": {}}, "centre")
    scale = Change("pixels_per_cm", numbers(2), numbers(4))
    rate = Change("fps", numbers(25), numbers(25, cage2=50))
    settle_at_once(session, zone, scale, rate)
    file = session.project.root / "project.yaml"
    assert file.read_text().startswith("fps: 25  # of the camera\npixels_per_cm: 4\n")
    one, two = read_index(session.data)
    assert (one.fps, one.pixels_per_cm, two.fps) == (25, 4, 50)
    assert one.zones[0].zone.centre == (2.5, 5)  # pixels, at four a cm
    assert read_labels(one)[0] == (Bout(1, 3, "chase", 1, 2),)
    assert (one.has_labels, two.has_labels) == (True, False)
    assert list(load_project(session.data).zones) == ["centre"]
    project = open_project(session.project.root, load_project(session.project.root))
    assert project.sources["p/cage2"]["fps"] == "settled for it"
    assert read_index(session.data) == [one, two]  # nothing is imported again


def test_what_is_taken_back_leaves_the_data_as_they_were(session):
    table = (session.data / "train.csv").read_text()
    zone = {"all": CIRCLE, "own": {}}
    settle_at_once(session, Change("zone", NO_ZONE, zone, "centre"))
    assert (session.data / "train.csv").read_text() != table
    settle_at_once(session, Change("zone", zone, NO_ZONE, "centre"))
    assert not (session.data / "zones.csv").exists()
    assert (session.data / "train.csv").read_text() == table


def test_animals_with_labels_keep_their_numbers(session):
    before = (session.data / "train.csv").read_text()
    with pytest.raises(DataError, match="labels of a, in whose place there would be b"):
        settle_at_once(session, Change("animals", [], ["b", "a"]))
    assert (session.data / "train.csv").read_text() == before
    gone = LabelEdit(
        remove=(Bout(1, 3, "chase", 1, 2),),
        unwatch=(WatchedSpan(1, 3, "chase", 1, 2),),
    )
    session.labels.apply("p/cage1", gone, frames=6)
    settle_at_once(session, Change("animals", [], ["b", "a"]))
    assert [each.animals for each in read_index(session.data)] == [("b", "a")] * 2


def test_settings_that_do_not_fit_change_nothing(session):
    before = (session.data / "train.csv").read_text()
    with pytest.raises(DataError, match="has no animals"):
        settle_at_once(session, Change("animals", [], ["nobody"]))
    assert (session.data / "train.csv").read_text() == before
    assert (session.project.root / "project.yaml").read_text().startswith("fps: 25")
    assert open_project(session.project.root, Project(fps=25, pixels_per_cm=2))


def test_animals_are_renamed_and_labels_by_either_name_are_theirs(session, tmp_path):
    names = {"a": "Ада", "b": "Bo"}
    settle_at_once(session, Change("animal_names", {}, names))
    assert [each.animals for each in read_index(session.data)] == [("Ада", "Bo")] * 2
    assert read_labels(read_index(session.data)[0])[0] == (Bout(1, 3, "chase", 1, 2),)
    root = session.project.root
    project = open_project(root, load_project(root).with_changes(pixels_per_cm=2))
    renamed = StudioSession.of_project(project)
    assert settings_json(renamed)["tracks"] == ["a", "b"]
    exported = tmp_path / "labels.boris"
    labels = labels_as_boris(renamed)
    names_of = [each["name"] for each in labels["subjects_conf"].values()]
    assert names_of == ["Ада", "Bo"]
    exported.write_text(json.dumps(labels))
    before = labels_of(renamed).bouts
    bring(renamed, exported, "theirs")
    assert labels_of(renamed).bouts == before
    by_track = write_table(tmp_path / "cage1.csv", [("run", 4, 5, "b")])
    bring(renamed, by_track, "mine")
    assert Bout(4, 5, "run", 2, 2) in labels_of(renamed).bouts
    settle_at_once(renamed, Change("animal_names", names, {}))
    assert [each.animals for each in read_index(session.data)] == [("a", "b")] * 2


def test_two_animals_of_one_name_are_refused(session):
    for names, reason in (
        ({"a": "Ada", "b": "Ada"}, "two animals would be called"),
        ({"a": "b"}, "two animals would be called b"),
        ({"a": "b", "b": "a"}, "is the name of another track"),
    ):
        with pytest.raises(MabeError, match=reason):
            settle_at_once(session, Change("animal_names", {}, names))
    assert read_index(session.data)[0].animals == ("a", "b")


def test_a_skeleton_is_settled_by_names_of_keypoints(session):
    wanted = {"snout": ["nose"], "rump": ["tail_base"], "neck": ["ear_left"]}
    settle_at_once(session, Change("skeleton", None, wanted))
    found = load_project(session.data).skeleton
    assert (found.snout, found.neck) == (("nose",), ("ear_left",))


def test_a_kill_while_settings_are_put_in_place_is_completed(session):
    propose(session.data, session.project.file, "fps: 25\npixels_per_cm: 8\n")
    try_proposal(session.data)
    labels = {name: session.labels.read(name) for name in session.labels.infos}
    videos = session.project.videos
    killed_at(4, lambda: decide(session.data, videos, labels, last_round=0))
    complete(session.data)
    assert [each.pixels_per_cm for each in read_index(session.data)] == [8, 8]
    assert read_labels(read_index(session.data)[0])[0] == (Bout(1, 3, "chase", 1, 2),)
    assert not (session.data / "studio" / "decided.json").exists()


def test_a_data_set_in_the_standard_layout_keeps_its_table(session):
    inner = StudioSession.of_project(open_project(session.data, Project()))
    with pytest.raises(DataError, match=r"columns of train\.csv"):
        settle(inner, [Change("fps", numbers(), numbers(30))])


def test_an_imported_data_set_takes_labels_though_its_sources_are_elsewhere(
    session, tmp_path
):
    files = {"recordings": [{"name": "cage1", "tracks": "elsewhere.csv"}]}
    (session.data / "project.yaml").write_text(yaml.safe_dump(files))
    inner = StudioSession.of_project(open_project(session.data, Project()))
    read(inner.data)
    path = write_table(tmp_path / "cage1.csv", [("chase", 2, 4, "b")])
    bring(inner, path, "theirs")
    assert Bout(2, 4, "chase", 2, 1) in inner.labels.read("p/cage1").bouts


# ── labels of other programs ──

FRAMES = 6
RUN_AND_REST = [("chase", 0, 2, "a"), ("run", 2, 4, "b")]


def bring(session, path, prefer):
    """Read a file, return what would come of it, and take it."""
    read_file(session.data, path)
    session.label_import.incoming = load_incoming(session.data)
    shown = import_json(session)
    take_import(session, prefer)
    return shown


def labels_of(session, name="p/cage1"):
    return session.labels.read(name, frames=FRAMES)


@pytest.mark.parametrize(
    ("prefer", "chases"),
    [("mine", [(0, 1), (1, 3)]), ("theirs", [(0, 2)])],
)
def test_a_file_of_labels_is_shown_first_and_says_where_it_differs(
    session, tmp_path, prefer, chases
):
    path = write_table(tmp_path / "cage1.csv", RUN_AND_REST)
    before = labels_of(session)
    shown = bring(session, path, prefer)
    chase, run = shown["rows"]
    assert (chase["action"], chase["bouts"], run["bouts"]) == ("chase", 1, 1)
    assert chase["conflictSeconds"] == 1 / 25  # frame 2: mine yes, theirs no
    assert run["conflictSeconds"] == 0
    assert shown["newActions"] == ["run"]
    found = labels_of(session).bouts
    assert [(b.start, b.stop) for b in found if b.action == "chase"] == chases
    assert session.ethogram.names == ("chase", "run")
    undo_import(session)
    assert labels_of(session) == before


def test_exported_labels_come_back_as_they_were_states_and_points(session, tmp_path):
    bite = StudioAction("bite", "2", Kind.DIRECTED, is_point=True)
    session.set_ethogram(Ethogram((*session.ethogram.actions, bite)))
    points = Bout(3, 4, "bite", 2, 1), Bout(4, 5, "bite", 2, 1)
    session.edit(0, LabelEdit(add=points), 0)
    mine = labels_of(session)
    project = labels_as_boris(session)
    kinds = {b["code"]: b["type"] for b in project["behaviors_conf"].values()}
    assert kinds == {"chase": "State event", "bite": "Point event"}
    [cage1] = project["observations"].values()  # nothing is labelled in the other
    assert len(cage1["events"]) == 4  # two of the chase, one of each bite
    assert "0.2 s were watched" in cage1["description"]
    assert list(cage1["media_info"]["fps"]) == ["cage1.mp4"]
    path = tmp_path / "labels.boris"
    path.write_text(json.dumps(project))
    forget(session, "p/cage1", FRAMES)
    bring(session, path, "theirs")
    assert labels_of(session) == mine  # also what nobody has watched


def forget(session, name, frames):
    """Take all labels of a recording back."""
    labels = session.labels.read(name, frames=frames)
    session.labels.apply(name, LabelEdit(remove=labels.bouts), frames=frames)
    unwatch = session.labels.read(name, frames=frames).coverage
    session.labels.apply(name, LabelEdit(unwatch=unwatch), frames=frames)
    left = session.labels.read(name, frames=frames)
    assert (left.bouts, left.coverage) == ((), ())


def test_what_mabe_has_noted_of_what_was_watched_is_read_or_refused(session, tmp_path):
    project = labels_as_boris(session)
    [cage1] = project["observations"].values()
    [noted] = cage1["independent_variables"].values()
    assert json.loads(noted)[0][2:] == ["chase", "a", "b"]
    cage1["independent_variables"]["watched (mabe)"] = "[[0, 1"
    path = tmp_path / "labels.boris"
    path.write_text(json.dumps(project))
    with pytest.raises(DataError, match="delete it, or export the labels again"):
        read_file(session.data, path)


def exported(session, tmp_path, change):
    """Return the labels of a project as a BORIS file that somebody has changed."""
    project = labels_as_boris(session)
    [cage1] = project["observations"].values()
    change(project, cage1)
    path = tmp_path / "labels.boris"
    path.write_text(json.dumps(project))
    return path


def bring_changed(session, tmp_path, change):
    path = exported(session, tmp_path, change)
    forget(session, "p/cage1", FRAMES)
    return bring(session, path, "theirs")


def test_a_bout_that_was_added_in_boris_is_brought_and_its_time_was_watched(
    session, tmp_path
):
    before = labels_of(session)

    def add_one(_, cage1):
        cage1["events"] += [[0.2, "b", "chase", "a", ""], [0.24, "b", "chase", "a", ""]]

    bring_changed(session, tmp_path, add_one)
    added = Bout(5, 6, "chase", 2, 1)
    assert set(labels_of(session).bouts) == {*before.bouts, added}


def test_names_that_were_changed_in_boris_keep_their_bouts_and_it_is_said(
    session, tmp_path
):
    before = labels_of(session)

    def rename(project, cage1):
        project["behaviors_conf"]["0"]["code"] = "chasing"
        for event in cage1["events"]:
            event[2] = "chasing"

    shown = bring_changed(session, tmp_path, rename)
    assert any("other ones than mabe has noted (chase)" in n for n in shown["notes"])
    found = labels_of(session)
    assert [(b.start, b.stop, b.action) for b in found.bouts] == [
        (b.start, b.stop, "chasing") for b in before.bouts
    ]
    assert len(found.coverage) == len(found.bouts)


def test_rows_of_another_shape_are_refused(session, tmp_path):
    def shorten(_, cage1):
        cage1["independent_variables"]["watched (mabe)"] = '[[0, 1, "chase", "a"]]'

    path = exported(session, tmp_path, shorten)
    with pytest.raises(DataError, match="not what mabe has written"):
        read_file(session.data, path)


def test_an_action_with_a_blank_of_an_earlier_version_comes_back_as_it_is(
    session, tmp_path
):
    old = StudioAction("jump up", "3", Kind.SELF)
    write_ethogram(session.data, Ethogram((*session.ethogram.actions, old)))
    session.ethogram = Ethogram((*session.ethogram.actions, old))
    session.edit(0, LabelEdit(add=(Bout(0, 2, "jump up", 1, 1),)), 0)
    mine = labels_of(session)
    path = tmp_path / "labels.boris"
    path.write_text(json.dumps(labels_as_boris(session)))
    forget(session, "p/cage1", FRAMES)
    read_file(session.data, path)
    label_import._show(session)
    take_import(session, "theirs")
    assert labels_of(session) == mine


def test_labels_are_read_where_the_rate_is_that_of_the_film(tmp_path):
    write_tracks(tmp_path / "p", "cage1")
    write_film(tmp_path / "p/cage1.mp4", frames=3, fps=50)
    (tmp_path / "p/project.yaml").write_text("pixels_per_cm: 2\n")
    session = StudioSession.of_project(
        open_project(tmp_path / "p", load_project(tmp_path / "p"))
    )
    path = write_table(tmp_path / "cage1.csv", [("chase", 2, 4, "b")])
    read_file(session.data, path)
    [labels] = load_incoming(session.data).labels.values()
    assert labels.bouts == (Bout(2, 4, "chase", 2, 1),)


def test_predictions_that_were_exported_to_boris_come_back_as_labels(session, tmp_path):
    mine = labels_of(session)
    bouts = RecordingBouts(
        lab="p",
        video="cage1",
        fps=25.0,
        length=FRAMES,
        animals=("a", "b"),
        bouts=mine.bouts,
    )
    made = replace(provenance(source("cage1")), actions=("chase",))
    [path, *_] = write_boris(tmp_path / "out", [bouts], made)
    bring(session, path, "theirs")
    assert labels_of(session).bouts == mine.bouts


def layout_session(root, *, names):
    """Return a session of a data set that was imported before, with its store read."""
    write_fights(root, videos=2, seconds=6)
    rows = read_rows(root / "train.csv")
    for row in rows:
        row |= {f"mouse{n}_id": name for n, name in enumerate(names, 1)}
    write_rows(root / "train.csv", rows)
    session = StudioSession.of_project(open_project(root, Project()))
    read(session.data)
    return session


@pytest.mark.parametrize("names", [(), ("Клара", "b")])
def test_labels_come_back_into_a_data_set_in_the_standard_layout(tmp_path, names):
    session = layout_session(tmp_path / "p", names=names)
    frames = int(6 * FPS)
    names = "Lab/1", "Lab/2"
    mine = {name: session.labels.read(name, frames=frames) for name in names}
    assert all(each.bouts for each in mine.values())
    path = tmp_path / "labels.boris"
    path.write_text(json.dumps(labels_as_boris(session)))
    for name in mine:
        forget(session, name, frames)
    shown = bring(session, path, "theirs")
    assert {row["recording"] for row in shown["rows"]} == {"1", "2"}
    now = {name: session.labels.read(name, frames=frames) for name in mine}
    assert now == mine


def test_a_data_set_that_is_not_read_yet_says_so_and_a_stranger_is_refused(tmp_path):
    write_fights(tmp_path / "p", videos=2, seconds=6)
    session = StudioSession.of_project(open_project(tmp_path / "p", Project()))
    path = write_table(tmp_path / "zebra.csv", RUN_AND_REST)
    with pytest.raises(DataError, match="not read yet"):
        read_file(session.data, path)
    read(session.data)
    with pytest.raises(DataError, match="of no recording here"):
        read_file(session.data, path)


def test_an_import_is_not_taken_back_over_later_labels(session, tmp_path):
    bring(session, write_table(tmp_path / "cage1.csv", RUN_AND_REST), "mine")
    later = LabelEdit(add=(Bout(4, 5, "chase", 1, 2),))
    session.labels.apply("p/cage1", later, frames=FRAMES)
    with pytest.raises(DataError, match="changed since the import"):
        undo_import(session)
    assert Bout(4, 5, "chase", 1, 2) in labels_of(session).bouts


def test_files_without_labels_of_these_recordings_are_refused(session, tmp_path):
    broken = tmp_path / "cage1.boris"
    broken.write_text("{")
    with pytest.raises(DataError, match="no labels are read"):
        read_file(session.data, broken)
    other = write_table(tmp_path / "zebra.csv", RUN_AND_REST)
    with pytest.raises(DataError, match="of no recording here"):
        read_file(session.data, other)
    with pytest.raises(DataError, match="choose a file first"):
        take_import(session, "mine")
    with pytest.raises(DataError, match="rename it"):
        start_import(session, "../x", b"")


# ── the server and the page ──


@pytest.fixture
def address(session):
    with served(
        lambda port: build_app(session, port=port, token=TOKEN), TOKEN
    ) as where:
        yield where


def ask(address, body, token=TOKEN):
    root = address.split("#")[0]
    return httpx.post(f"{root}api/settings", json=body, headers={"x-mabe-token": token})


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({}, "list"),
        ([{"key": "lab", "before": None, "value": "x"}], "expected a setting"),
        ([{"key": "fps", "before": numbers(25), "value": 30}], "all and own"),
        ([{"key": "fps", "before": numbers(25), "value": numbers(-1)}], "fps"),
        ([{"key": "fps", "before": numbers(25), "value": numbers(9, x=3)}], "no rec"),
        (
            [{"key": "zone", "name": "z", "before": NO_ZONE, "value": numbers(3)}],
            "zones",
        ),
    ],
)
def test_settings_that_are_none_are_refused_with_a_reason(
    session, address, sent, reason
):
    answer = ask(address, sent)
    assert 400 <= answer.status_code < 500
    assert reason in answer.json()["error"]
    assert session.job is None
    assert ask(address, sent, token="x").status_code == 401


def test_answers_to_labels_that_nobody_sent_are_refused(address):
    root = address.split("#")[0]
    for path, reason in (
        ("incoming/mine", "choose a file first"),
        ("incoming/both", "not both"),
        ("incoming?name=..%2Fx", "rename it"),
    ):
        headers = {"x-mabe-token": TOKEN}
        answer = httpx.post(f"{root}api/{path}", content=b"x", headers=headers)
        assert 400 <= answer.status_code < 500
        assert reason in answer.json()["error"]


@pytest.fixture
def page(browser, address, session):
    """The page of the first recording."""
    browser.open("about:blank")
    browser.errors()
    browser.open(address)
    browser.wait("window.mabe?.project.state")
    browser.run("window.mabe.project.open(0)")
    browser.wait("window.mabe.page.recording?.index === 0")
    browser.wait("document.getElementById('waiting').hidden")
    yield browser
    assert browser.errors() == []
    browser.open("about:blank")  # it asks the server no more


@needs_browser
def test_rates_are_typed_with_a_comma_and_nonsense_is_refused(page):
    field = "document.querySelector('#settings-numbers input[data-recording]')"
    page.run(f"{field}.value = '25,0x'")
    click(page, "settings-apply")
    told = "document.getElementById('settings-state').textContent"
    assert "frames per second" in page.run(f"return {told}")
    page.run(f"{field}.value = '25,0'")
    click(page, "settings-apply")
    assert page.run(f"return {told}") == "Nothing is changed."  # 25 as before


@needs_browser
def test_an_import_and_its_taking_back_are_said_and_stay_said(page, session, tmp_path):
    read_file(session.data, write_table(tmp_path / "cage1.csv", RUN_AND_REST))
    session.label_import.incoming = load_incoming(session.data)
    before = labels_of(session)
    click(page, "to-project")
    told = "document.getElementById('incoming-state').textContent"
    page.wait(f"{told}.startsWith('cage1.csv: 2 bouts')")
    click(page, "incoming-mine")
    page.wait(f"{told}.startsWith('cage1.csv is imported')")
    click(page, "to-project")
    page.wait("!document.getElementById('incoming-undo').hidden")
    click(page, "incoming-undo")
    page.wait(f"{told}.startsWith('The import is taken back')")
    assert labels_of(session) == before


def put(browser, field, value):
    browser.run(
        f"const field = document.getElementById('{field}'); field.value = {value!r};"
        "for (const type of ['input', 'change'])"
        "field.dispatchEvent(new Event(type, {bubbles: true}))"
    )


def at_pixel(browser, point):
    """Return where in the window a pixel of the film is."""
    script = "const at = window.mabe.drawing.drawing.place(arguments[0]);"
    script += "const box = document.getElementById('draw').getBoundingClientRect();"
    return browser.run(
        script + "return [at[0] + box.left, at[1] + box.top]", list(point)
    )


def click(browser, what):
    browser.run(f"document.getElementById('{what}').click()")


def wait_until_settled(browser, version=1):
    browser.wait(f"window.mabe.project.state.settings.version === {version}", 60)


@needs_browser
def test_a_line_of_known_length_gives_the_scale(page, session):
    click(page, "draw-begin")
    page.drag(at_pixel(page, (10, 20)), at_pixel(page, (40, 60)))  # 50 pixels
    put(page, "draw-length", "5,0")
    told = page.run("return document.getElementById('draw-result').textContent")
    drawn = float(told.split()[0])
    assert drawn == pytest.approx(50, abs=1.5)
    put(page, "draw-numbers", "10 20 40 60")  # exactly
    click(page, "draw-apply")
    wait_until_settled(page)
    one, two = session.project.videos
    assert (one.pixels_per_cm, two.pixels_per_cm) == (10, 10)
    page.wait("window.mabe.page.recording.pixelsPerCm === 10", 20)
    file = session.project.root / "project.yaml"
    assert file.read_text() == "fps: 25  # of the camera\npixels_per_cm: 10\n"
    page.wait("!document.getElementById('draw-undo').disabled")  # while tracks are read
    click(page, "draw-undo")
    wait_until_settled(page, 2)
    assert session.project.videos[0].pixels_per_cm == 2
    assert session.labels.read("p/cage1").bouts == (Bout(1, 3, "chase", 1, 2),)


@needs_browser
def test_a_zone_is_drawn_by_keys_alone_for_one_recording(page, session):
    put(page, "draw-shape", "rectangle")
    put(page, "draw-name", "Ёлка")
    put(page, "draw-for", "this")
    click(page, "draw-begin")
    start = page.run("return window.mabe.drawing.drawing.cross")
    assert violations(page) == []
    right, down, enter = "\ue014", "\ue015", "\ue007"
    page.keys(enter, *[right] * 2, *[down] * 5, enter)
    file = session.project.root / "project.yaml"
    before = file.read_text()
    file.write_text(before + "zones: {Ёлка: {circle: [1, 2, 3]}}\n")  # by another
    page.run("document.getElementById('draw-apply').focus()")
    page.keys(enter)
    told = "document.getElementById('draw-result').textContent"
    page.wait(f"{told}.includes('the zone Ёлка was changed elsewhere')")
    [refusal] = page.errors()
    assert "400" in refusal
    file.write_text(before)
    page.wait("!window.mabe.project.state.settings.values.zones['Ёлка']")
    page.keys(enter)
    wait_until_settled(page)
    one, two = session.project.videos
    assert not two.zones
    x, y = start
    corners = np.array(one.zones[0].zone.shape.corners) * one.pixels_per_cm
    np.testing.assert_allclose(
        corners, [(x, y), (x + 2, y), (x + 2, y + 5), (x, y + 5)], atol=1e-4
    )
    page.wait("document.querySelector('#zone-list li')?.textContent.includes('Ёлка')")
    page.wait("window.mabe.page.recording.zones.length === 1", 20)
    put(page, "draw-numbers", "0,0 9,9")  # of which nobody knows what it means
    assert "spaces between them" in page.run(f"return {told}")
    put(page, "draw-numbers", "0 0 9 9")
    click(page, "draw-apply")  # the name is still there
    page.wait(f"{told}.startsWith('There is a zone Ёлка already')")
    click(page, "to-project")
    page.run("document.getElementById('settings-box').open = true")
    assert violations(page) == []
