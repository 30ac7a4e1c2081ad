"""People's labels in every format, with what real files have wrong with them."""

import json

import pytest

from mabe.bouts import Bout, Watched
from mabe.errors import ConfigError, DataError
from mabe.io.behaviour_names import map_labels, slug
from mabe.io.label_bouts import to_bouts
from mabe.io.project import Project
from mabe.io.readers.annotations import (
    Event,
    annotations_of,
    compare_lengths,
    to_frames,
)
from mabe.io.readers.formats import read_file
from mabe.io.watched_actions import watched_of

OLD = """Observation id,obs1,,,,,,,
,,,,,,,,
Media file(s),,,,,,,,
Player #1,/videos/day1.avi,,,,,,,
Time offset (s),0.0,,,,,,,
,,,,,,,,
Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,\
Status
"""
NEW = (
    "Observation id\tObservation date\tDescription\tObservation duration\t"
    "Observation type\tSource\tTime offset (s)\tMedia duration (s)\tFPS\tSubject\t"
    "Behavior\tBehavioral category\tModifier #1\tBehavior type\tTime\t"
    "Media file name\tImage index\tImage file path\tComment\n"
)


def old_row(time, status, behaviour="sniff", subject="m1"):
    return f"{time},/videos/day1.avi,60.000,25.0,{subject},{behaviour},,,{status}\n"


def new_row(time, status, behaviour="sniff", subject="m1", modifier="", **about):
    cells = {
        "offset": "0.0",
        "length": "60.000",
        "fps": "25.000",
        "obs": "obs1",
    } | about
    return "\t".join(
        [
            *(cells["obs"], "2024-01-01 10:00:00", "", "60.000", "Media file(s)"),
            *("player #1:/videos/day1.avi", cells["offset"], cells["length"]),
            *(cells["fps"], subject, behaviour, "", modifier, status, time),
            *("/videos/day1.avi", "NA", "NA", "\n"),
        ]
    )


def read(tmp_path, text, **how):
    path = tmp_path / "labels"
    path.write_text(text, encoding=how.get("encoding", "utf-8"))
    [annotations] = read_file(path).annotations
    return annotations


def test_an_old_table(tmp_path):
    annotations = read(
        tmp_path, OLD + old_row("1.5", "START") + old_row("3.25", "STOP")
    )

    assert annotations.events == (Event(1.5, 3.25, "sniff", "m1"),)
    assert (annotations.name, annotations.fps, annotations.length) == ("obs1", 25, 60)
    assert annotations.media == ("/videos/day1",)


def test_a_new_table_with_a_modifier_that_names_the_target(tmp_path):
    rows = new_row("1.5", "START", modifier="m2") + new_row("3", "STOP", modifier="m2")
    annotations = read(tmp_path, NEW + rows)

    assert annotations.events == (Event(1.5, 3, "sniff", "m1", "m2"),)


def test_events_at_the_same_time_are_paired_each_by_itself(tmp_path):
    text = OLD + "".join(
        [
            *(old_row("1", "START"), old_row("2", "START", "rear")),
            *(old_row("2.5", "START", subject="m2"), old_row("3", "STOP")),
            *(old_row("4", "STOP", "rear"), old_row("5", "STOP", subject="m2")),
        ]
    )
    assert read(tmp_path, text).events == (
        Event(1, 3, "sniff", "m1"),
        Event(2, 4, "rear", "m1"),
        Event(2.5, 5, "sniff", "m2"),
    )


def test_rows_that_are_not_in_time_order_and_bouts_that_touch(tmp_path):
    text = OLD + "".join(
        old_row(time, status)
        for time, status in [
            ("4", "STOP"),
            ("2", "START"),
            ("2", "STOP"),
            ("1", "START"),
        ]
    )
    assert read(tmp_path, text).events == (
        Event(1, 2, "sniff", "m1"),
        Event(2, 4, "sniff", "m1"),
    )


def test_point_events_become_one_frame(tmp_path):
    annotations = read(tmp_path, OLD + old_row("2", "POINT"))

    assert annotations.events == (Event(2, 2, "sniff", "m1"),)
    assert to_frames(annotations, 25).events == (Event(50, 51, "sniff", "m1"),)


def test_an_event_that_never_stops_goes_on_to_the_end_with_a_note(tmp_path):
    annotations = read(tmp_path, OLD + old_row("50", "START"))

    assert annotations.events == (Event(50, 60, "sniff", "m1"),)
    assert "never stopped" in annotations.notes[0]
    assert "sniff at 50 s" in annotations.notes[0]


def test_a_second_start_and_a_lonely_stop_are_left_out_with_notes(tmp_path):
    rows = [("1", "START"), ("2", "START"), ("3", "STOP"), ("4", "STOP")]
    annotations = read(tmp_path, OLD + "".join(old_row(*row) for row in rows))

    assert annotations.events == (Event(2, 3, "sniff", "m1"),)
    assert len(annotations.notes) == 2


def test_decimal_commas(tmp_path):
    text = (
        NEW + new_row("1,5", "START", fps="25,000") + new_row("3,25", "STOP")
    ).replace("\t", ";")
    annotations = read(tmp_path, text.replace("60.000", "60,000"))

    assert annotations.events == (Event(1.5, 3.25, "sniff", "m1"),)
    assert (annotations.fps, annotations.length) == (25, 60)


def test_cells_joined_for_several_videos(tmp_path):
    joined = {"fps": "25.000;25.000", "length": "30.000;45.5"}
    rows = new_row("1", "START", **joined) + new_row("40", "STOP", **joined)
    annotations = read(tmp_path, NEW + rows)

    assert (annotations.fps, annotations.length) == (25, 75.5)


def test_videos_scored_one_after_the_other_are_recordings_of_their_own(tmp_path):
    joined = {"fps": "25.000;30.000", "length": "30.000;45.5"}
    rows = (
        new_row("28", "START", **joined)
        + new_row("32", "STOP", **joined)
        + new_row("40", "POINT", "rear", **joined)
    ).replace("player #1:/videos/day1.avi", "player #1:/v/a.avi;/v/b.avi")
    (tmp_path / "x").write_text(NEW + rows)
    first, second = read_file(tmp_path / "x").annotations

    assert (first.name, first.fps, first.length) == ("a", 25, 30)
    assert first.events == (Event(28, 30, "sniff", "m1"),)
    assert (second.name, second.fps, second.length) == ("b", 30, 45.5)
    assert second.events == (Event(0, 2, "sniff", "m1"), Event(10, 10, "rear", "m1"))
    assert second.behaviours == ("sniff", "rear")
    assert "2 videos" in second.notes[0]


def test_rates_of_videos_that_are_not_named_must_agree(tmp_path):
    with pytest.raises(DataError, match="different frame rates"):
        read(tmp_path, NEW + new_row("1", "POINT", fps="25.000;30.000"))


def test_a_time_offset_is_taken_off(tmp_path):
    rows = new_row("11", "START", offset="10.0") + new_row("12", "STOP", offset="10.0")
    assert read(tmp_path, NEW + rows).events == (Event(1, 2, "sniff", "m1"),)


def test_one_table_of_several_observations(tmp_path):
    rows = new_row("1", "POINT") + new_row("2", "POINT", obs="obs2")
    (tmp_path / "x").write_text(NEW + rows)

    assert [m.name for m in read_file(tmp_path / "x").annotations] == ["obs1", "obs2"]


def test_an_aggregated_export(tmp_path):
    header = "Observation id,Media duration (s),FPS (frame/s),Subject,Behavior,"
    header += "Modifiers,Behavior type,Start (s),Stop (s),Duration (s)\n"
    text = header + "o,60,25,No focal subject,rear,,STATE,1.5,2.5,1\n"
    text += "o,60,25,m1,peck,,POINT,4,4,NA\n"
    assert read(tmp_path, text).events == (
        Event(1.5, 2.5, "rear"),
        Event(4, 4, "peck", "m1"),
    )


def test_a_binary_table(tmp_path):
    text = "time\trear\tsniff\n0.0\t0\t1\n0.5\t1\t1\n1.0\t1\t0\n1.5\t0\t0\n"
    annotations = read(tmp_path, text)

    assert annotations.unit == "s"
    assert annotations.events == (Event(0, 1, "sniff"), Event(0.5, 1.5, "rear"))
    assert any("shorter events" in note for note in annotations.notes)


def test_a_project_with_state_and_point_events(tmp_path):
    project = {
        "project_format_version": "7.0",
        "subjects_conf": {"0": {"name": "m1"}, "1": {"name": "m2"}},
        "behaviors_conf": {
            "0": {"code": "s", "type": "State event"},
            "1": {"code": "p", "type": "Point event"},
            "2": {"code": "never", "type": "State event"},
        },
        "observations": {
            "day1": {
                "type": "MEDIA",
                "time offset": 0.0,
                "file": {"1": ["C:\\films\\day1.mp4"]},
                "media_info": {
                    "length": {"C:\\films\\day1.mp4": 60.0},
                    "fps": {"C:\\films\\day1.mp4": 25.0},
                },
                "events": [
                    [1.0, "m1", "s", "", ""],
                    [2.0, "m1", "p", "", "", 50],
                    [3.0, "m1", "s", "", ""],
                    [4.0, "", "s", "None", ""],
                ],
            }
        },
    }
    annotations = read(tmp_path, json.dumps(project))

    assert annotations.events == (
        Event(1, 3, "s", "m1"),
        Event(2, 2, "p", "m1"),
        Event(4, 60, "s"),
    )
    assert annotations.behaviours == ("s", "p", "never")
    assert annotations.subjects == ("m1", "m2")
    assert (annotations.fps, annotations.media) == (25, ("C:/films/day1",))


def test_a_project_whose_events_fill_the_first_look(tmp_path):
    events = [[float(at), "m1", "s", "", ""] for at in range(40_000)]
    project = {
        "project_name": "long",
        "observations": {"o": {"events": events, "file": {}}},
        "behaviors_conf": {"0": {"code": "s", "type": "State event"}},
        "project_format_version": "7.0",
    }
    assert len(read(tmp_path, json.dumps(project)).events) == 20_000


def test_caltech_frames_count_from_one_and_both_ends_are_in(tmp_path):
    text = (
        "Caltech Behavior Annotator - Annotation File\r\n\r\nConfiguration file:\r\n"
        "rest\tr\r\nsniff\ts\r\n\r\nS1:\tstart\tend\ttype\r\n-----\r\n"
        "   \t1\t10\trest\r\n   \t11\t12\tsniff\r\n"
    )
    annotations = read(tmp_path, text)

    assert annotations.events == (Event(0, 10, "rest"), Event(10, 12, "sniff"))
    assert annotations.behaviours == ("rest", "sniff")


def test_one_hot_columns(tmp_path):
    text = "frame,a,b\n10,0,1\n11,1,1\n12,1,0\n13,0,0\n"
    annotations = read(tmp_path, text)

    assert annotations.events == (Event(10, 12, "b"), Event(11, 13, "a"))
    assert annotations.length == 14


def test_one_hot_columns_in_any_order(tmp_path):
    text = "a,frame,b\n0,10,1\n1,11,1\n1,12,0\n0,13,0\n"
    annotations = read(tmp_path, text)

    assert annotations.events == (Event(10, 12, "b"), Event(11, 13, "a"))


@pytest.mark.parametrize(
    "rows", ["10,0\n11,1\n11,1\n12,0\n", "10,0\n11,1\n15,0\n16,0\n"]
)
def test_rows_that_are_doubled_or_lost_are_refused(tmp_path, rows):
    with pytest.raises(DataError, match="Were rows lost or doubled"):
        read(tmp_path, f"frame,a\n{rows}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_any_encoding(tmp_path, encoding):
    text = OLD + old_row("1", "START", "à côté") + old_row("2", "STOP", "à côté")
    assert read(tmp_path, text, encoding=encoding).events[0].behaviour == "à côté"


def frames(*spans, length=None):
    events = [Event(start, stop, "sniff", "m1") for start, stop in spans]
    return annotations_of("r", "frame", events, length=length)


def test_a_few_frames_of_difference_are_a_note_and_more_an_error():
    assert compare_lengths(frames(length=1873), 1873) == ()
    [note] = compare_lengths(frames(length=1873), 1871)
    assert "1,873" in note
    assert "1,871" in note
    with pytest.raises(DataError, match=r"do not fit tracks of 1,871.*max_length"):
        compare_lengths(frames(length=1900), 1871)
    assert compare_lengths(frames(length=1900), 1871, allowed=30)
    with pytest.raises(DataError, match="do not fit"):
        compare_lengths(frames((0, 1900)), 1871)


@pytest.mark.parametrize("fps", [10, 24, 25, 29.97, 30, 33.3, 50, 60, 100, 120])
def test_times_of_three_decimals_are_exact_to_the_frame(fps):
    for frame in range(0, 200_000, 977):
        event = Event(round(frame / fps, 3), round((frame + 1) / fps, 3), "a")
        [found] = to_frames(annotations_of("r", "s", [event]), fps).events
        assert (found.start, found.stop) == (frame, frame + 1)


ANIMALS = ("adult", "juvenile")


def mapping(project=None, *, subjects=("adult",), behaviours=("interact", "rear")):
    return map_labels(ANIMALS, subjects, behaviours, project or Project())


def test_subjects_are_known_by_name_and_targets_by_what_is_done():
    annotations = annotations_of(
        "r",
        "frame",
        [Event(0, 5, "interact", "adult"), Event(7, 9, "rear", "adult")],
    )
    bouts, notes = to_bouts(annotations, mapping())

    assert bouts == (Bout(0, 5, "interact", 1, 2), Bout(7, 9, "rear", 1, 1))
    assert notes == []
    assert mapping().actions["interact"].reason == "guess: the other animal"


def test_subjects_of_other_names_are_guessed_in_order_and_may_be_told():
    guessed = mapping(subjects=("big", "mouse2"))
    assert guessed.subjects == {"big": "adult", "mouse2": "juvenile"}
    assert guessed.reasons["big"].startswith("guess")

    too_many = mapping(subjects=("x", "y", "z"))
    assert list(too_many.subjects.values()) == ["adult", "juvenile", None]

    told = mapping(
        Project(subjects={"big": "juvenile", "cage": None}), subjects=("big",)
    )
    assert told.subjects["big"] == "juvenile"
    with pytest.raises(ConfigError, match="nobody"):
        mapping(Project(subjects={"adult": "nobody"}))


def test_a_modifier_names_the_target_and_settings_go_before_guesses():
    settings = {"interact": {"target": "self"}, "rear": None}
    annotations = annotations_of(
        "r",
        "frame",
        [
            Event(0, 5, "interact", "adult", "juvenile"),
            Event(5, 6, "interact", "adult"),
            Event(7, 9, "rear", "adult"),
        ],
    )
    bouts, notes = to_bouts(annotations, mapping(Project(actions=settings)))

    assert bouts == (Bout(0, 5, "interact", 1, 2), Bout(5, 6, "interact", 1, 1))
    assert notes == ["'rear' left out: 1 event"]


def test_of_three_animals_each_event_must_say_whom():
    animals = ("a", "b", "c")
    of_three = map_labels(animals, ("a",), ("chase",), Project())
    annotations = annotations_of("r", "frame", [Event(0, 5, "chase", "a")])

    with pytest.raises(DataError, match="'chase' of 'a' has no target"):
        to_bouts(annotations, of_three)


@pytest.mark.parametrize(
    "named", [{"animal_names": {"c": "Cleo"}}, {"subjects": {"Cleo": "c"}}]
)
def test_a_name_that_the_project_gives_is_found_where_it_is_a_target_alone(named):
    project = Project(**named)
    of_three = map_labels(("a", "b", "c"), ("a",), ("chase",), project)
    events = [Event(0, 5, "chase", "a", "Cleo"), Event(6, 7, "chase", "a", "b")]

    bouts, notes = to_bouts(annotations_of("r", "frame", events), of_three)

    assert bouts == (Bout(0, 5, "chase", 1, 3), Bout(6, 7, "chase", 1, 2))
    assert notes == []
    assert list(of_three.subjects) == ["a"]  # Cleo is not known to have been watched


def test_watched_is_every_action_of_everyone_who_acts():
    assert watched_of(mapping(), ("adult",), Project()) == (
        Watched(1, 1, "rear"),
        Watched(1, 2, "interact"),
    )
    told = Project(watched=("juvenile,self,rear",))
    assert watched_of(mapping(), ("adult",), told) == (Watched(2, 2, "rear"),)
    with pytest.raises(ConfigError, match="nobody,self,rear"):
        watched_of(mapping(), (), Project(watched=("nobody,self,rear",)))


def test_the_filler_of_a_further_stream_is_no_behaviour():
    annotations = annotations_of(
        "r",
        "frame",
        [
            *(Event(0, 4, "base", "S1"), Event(4, 9, "social", "S1")),
            *(Event(0, 5, "base", "S2"), Event(5, 7, "bite", "S2")),
            Event(7, 9, "base", "S2"),
        ],
    )
    of_streams = map_labels(
        ANIMALS, ("S1", "S2"), ("base", "social", "bite"), Project()
    )
    bouts, _ = to_bouts(annotations, of_streams)

    assert [(b.start, b.stop, b.action) for b in bouts] == [
        *((0, 4, "base"), (4, 9, "social"), (5, 7, "bite")),
    ]


def test_names_fit_the_standard_layout():
    assert slug(" contacts generaux (R + V), x") == "contacts_generaux_(R_+_V)_x"
