"""Files as labs have them: what other programs write, with the right values by hand."""

import json
import shutil

import h5py
import numpy as np
import pytest
from door_cases import bouts, case, content, events_of, imported, poses_of

from mabe.errors import DataError
from mabe.io.import_plan import describe_plan, plan_import
from mabe.io.inspector import inspect
from mabe.io.project import Project
from mabe.io.readers.annotations import SELF, Event
from mabe.io.readers.formats import read_file
from mabe.io.readers.left_out import LeftOut

MICE = ("nose", "left_ear", "right_ear", "tail_base")


# SLEAP.


@pytest.mark.parametrize("layout", ["sleap", "instances", "frames"])
def test_sleap_csv_in_all_three_layouts(layout):
    poses = poses_of("sleap_csv", f"trial_{layout}.csv")

    assert poses.animals == ("resident", "intruder")
    assert set(poses.keypoints) == set(MICE)
    assert (poses.first_frame, poses.length) == (10, 60)
    assert poses.present.all()
    nose = poses.keypoints.index("nose")
    np.testing.assert_allclose(
        poses.xy_px[0, :, nose], [[193.9, 269.6], [387.9, 232.4]]
    )
    assert poses.confidence[0, 0, nose] == pytest.approx(0.9)


def test_a_corrected_instance_replaces_the_predicted_one_it_was_made_from():
    poses = poses_of("slp_hand_corrected", "trial.slp")

    assert len(poses.animals) == 1
    assert poses.xy_px.shape[0] == 60
    np.testing.assert_allclose(poses.xy_px[10, 0, 0], [193.9, 269.7], atol=0.06)
    # The wrong prediction lies 40 px off: no jump is left.
    assert np.abs(np.diff(poses.xy_px[:, 0, 0], axis=0)).max() < 10
    assert "predicted instances replaced by a person's own: 3" in poses.notes


def test_broken_tracks_are_as_many_animals_as_there_are_at_a_time():
    poses = poses_of("slp_fragments", "trial.slp")

    assert len(poses.animals) == 2
    assert poses.present.all()
    [note] = poses.notes
    assert note.startswith("24 pieces of track of at most 2 animals at a time")
    assert "identities are uncertain" in note
    # Pieces go on where they ended: nobody jumps to the other animal.
    assert np.abs(np.diff(poses.xy_px[:, :, 0], axis=0)).max() < 20


# DeepLabCut.


@pytest.mark.parametrize("name", ["CollectedData_me.h5", "machinelabels-iter0.h5"])
def test_frames_labelled_to_train_deeplabcut_are_called_so(name):
    with pytest.raises(LeftOut, match="frames labelled to train DeepLabCut"):
        content("dlc_labelled_h5", f"labeled-data/trial/{name}")


def test_scorers_that_pandas_numbered_are_one():
    [recording] = imported("dlc_pandas_suffix").values()

    poses = recording.standard.poses
    assert (poses.animals, poses.keypoints) == (("ind1", "ind2"), MICE)
    assert poses.length == 250
    assert bouts(recording) == [
        (1, 2, "attack", 25, 50),
        (2, 1, "sniff", 100, 125),
    ]


def test_a_deeplabcut_project_is_one_recording_and_one_note_on_the_rest():
    plan = plan_import(case("dlc_project"), Project(fps=25))
    recordings = imported("dlc_project")

    assert list(recordings) == ["trial"]
    assert bouts(recordings["trial"]) == [
        (1, 2, "attack", 25, 50),
        (2, 1, "sniff", 100, 125),
    ]
    notes = [line for line in describe_plan(plan) if line.startswith("  !")]
    assert len(notes) == 1
    assert "frames labelled to train DeepLabCut" in notes[0]


def test_paths_of_pictures_in_three_columns_are_training_data():
    with pytest.raises(LeftOut, match="frames labelled to train DeepLabCut"):
        content("dlc_project", "labeled-data/trial/CollectedData_me.csv")


def test_coords_of_the_ensemble_smoother_are_left_out_with_a_note():
    poses = poses_of("lp_eks", "mouse1.csv")

    assert (poses.keypoints, poses.xy_px.shape) == (MICE, (60, 1, 4, 2))
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [202.2, 270.1])
    assert any("x_ens_median" in note for note in poses.notes)


# SimBA.


def test_a_simba_project_is_one_recording_with_a_persons_labels():
    [recording] = imported("simba_project", fps=None).values()

    standard = recording.standard
    assert (standard.name, standard.fps) == ("Together_1", 25)
    assert standard.pixels_per_cm == pytest.approx(12)
    assert bouts(recording) == [(1, 2, "Attack", 50, 75)]


def test_targets_beside_their_probability_are_no_labels():
    project = "project_folder/csv"
    machine = content("simba_project", f"{project}/machine_results/Together_1.csv")

    assert machine.annotations == ()
    assert "predicted by SimBA, no labels: Attack" in machine.poses[0].notes


def test_simba_stages_that_are_not_read_are_one_line_each_reason():
    lines = list(inspect(case("simba_project"), Project()))

    told = [line.strip(" !") for line in lines if line.startswith("  !")]
    assert told[0].startswith("4 files (project_folder/csv/")
    assert "settings of a SimBA project" in told[1]


def test_simba_yolo_results_have_an_animal_for_each_class():
    [recording] = imported("simba_yolo").values()

    assert recording.standard.animals == ("resident", "intruder")
    assert recording.standard.poses.xy_px.shape == (250, 2, 4, 2)
    np.testing.assert_allclose(recording.standard.poses.xy_px[0, 0, 0], [260, 236])
    assert bouts(recording) == [
        (1, 2, "attack", 25, 50),
        (2, 1, "sniff", 100, 125),
    ]


# BORIS.


def test_the_media_creation_date_is_subtracted():
    assert events_of("boris_creation_date", "study.boris") == [
        (75, 100, "attack", "resident")
    ]


def test_a_table_with_dates_for_times_names_the_option_of_boris(tmp_path):
    path = tmp_path / "trial.csv"
    path.write_text(
        "Observation id,trial\nTime,Media file path,Total length,FPS,Subject,Behavior,"
        "Comment,Status\n1740823203.0,trial.mp4,10,25,resident,attack,,START\n"
    )
    with pytest.raises(DataError, match="media creation date as offset"):
        content(tmp_path, "trial.csv")


def test_a_compressed_project_is_a_project():
    assert events_of("boris_gz", "study.boris.gz") == [(75, 100, "attack", "resident")]
    [recording] = imported("boris_gz").values()
    assert bouts(recording) == [(1, 2, "attack", 75, 100)]


def test_an_interval_that_was_observed_is_what_was_watched():
    [recording] = imported("boris_interval").values()

    assert bouts(recording) == [(1, 2, "attack", 75, 90), (1, 2, "attack", 125, 135)]
    spans = {(span.start, span.stop) for span in recording.coverage}
    assert spans == {(62, 150)}


# Tables that people make.

WHOLE = [(25, 50, "attack"), (100, 125, "sniff"), (150, 175, "attack")]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("onehot_frame_number", "trial_labels.csv"),
        ("deepethogram_background", "trial_labels.csv"),
        ("frame_labels", "trial.csv"),
        ("solomon", "trial.csv"),
    ],
)
def test_a_row_for_every_frame_or_time(name, file):
    assert [event[:3] for event in events_of(name, file)] == WHOLE
    [annotations] = content(name, file).annotations
    # `background` and `none` are no behaviours.
    assert set(annotations.behaviours) == {"attack", "sniff"}
    assert annotations.watched is None


def test_categories_that_are_not_the_behaviour_are_named():
    [annotations] = content("solomon", "trial.csv").annotations
    assert "columns not used: Light, Location" in annotations.notes


def test_minus_one_is_not_watched():
    [recording] = imported("deepethogram_minus1").values()

    assert [bout[2:] for bout in bouts(recording)] == [
        ("attack", 25, 50),
        ("sniff", 80, 90),
    ]
    assert {(span.start, span.stop) for span in recording.coverage} == {(0, 125)}


@pytest.mark.parametrize("filler", ["background", "other", "none", "No behavior"])
def test_a_column_for_the_rest_is_no_behaviour(tmp_path, filler):
    attack = [0, 1, 1, 0]
    rows = [f"{n / 30:.3f},{a},{1 - a}" for n, a in enumerate(attack)]
    text = "\n".join([f"time,attack,{filler}", *rows])
    (tmp_path / "asoid.csv").write_text(text)

    [annotations] = content(tmp_path, "asoid.csv").annotations

    assert annotations.behaviours == ("attack",)
    assert f"column {filler!r}: no behaviour" in annotations.notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("counter", ["Frame", "frame_idx", "Frame number", "FrameNo"])
def test_numbers_of_frames_have_many_names(tmp_path, counter, delimiter):
    rows = [f"{counter},dig", *(f"{n},{int(3 <= n < 5)}" for n in range(8))]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(rows).replace(",", delimiter))

    assert events_of(tmp_path, "x.csv") == [(3, 5, "dig", "")]


def test_rows_of_several_animals_are_read_apart(tmp_path):
    rows = ["frame,animal,dig,rear"]
    rows += [
        f"{n},{who},{int(n == 2)},{int(who == 2)}" for who in (1, 2) for n in range(4)
    ]
    (tmp_path / "x.csv").write_text("\n".join(rows))

    assert events_of(tmp_path, "x.csv") == [
        (0, 4, "rear", "2"),
        (2, 3, "dig", "1"),
        (2, 3, "dig", "2"),
    ]


def test_clock_times_are_times(tmp_path):
    rows = [
        "Time,dig",
        *(f"00:00:{n // 5:02d}.{n % 5 * 2}00,{int(5 <= n < 10)}" for n in range(15)),
    ]
    (tmp_path / "x.csv").write_text("\n".join(rows))

    assert events_of(tmp_path, "x.csv") == [(25, 50, "dig", "")]


def test_columns_of_one_name_are_one_behaviour(tmp_path):
    """BORIS writes one for each modifier, and counts point events."""
    rows = ["time\tdig\tdig", "0.0\t1\t0", "0.1\t0\t2", "0.2\t0\t0", "0.3\t0\t0"]
    (tmp_path / "x.tsv").write_text("\n".join(rows))

    assert events_of(tmp_path, "x.tsv", fps=10) == [(0, 2, "dig", "")]


def test_frames_from_one_are_marked_as_such(tmp_path):
    (tmp_path / "x.csv").write_text("Frame,dig\n1,0\n2,1\n3,0\n4,0\n")

    [annotations] = content(tmp_path, "x.csv").annotations
    assert annotations.counted_from == 1
    assert annotations.is_counting_assumed


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("seconds_tables", "trial_a.csv"),
        ("sheet_semi", "trial.csv"),
        ("excel_sheet", "trial.xlsx"),
    ],
)
def test_bouts_in_seconds(name, file):
    found = [event[:3] for event in events_of(name, file)]
    assert found == WHOLE[: len(found)]
    assert len(found) >= 2
    [annotations] = content(name, file).annotations
    assert len(annotations.subjects) == 2


def test_bouts_from_to_and_type():
    assert events_of("seconds_tables", "trial_b.csv") == [
        (25, 50, "Supported", ""),
        (100, 125, "Unsupported", ""),
    ]
    [annotations] = content("seconds_tables", "trial_b.csv").annotations
    assert annotations.name == "trial"
    assert "columns not used: Experimenter, ID, DLCFile" in annotations.notes


def test_the_subject_of_a_table_of_bouts():
    [recording] = imported("bouts_subject_column").values()

    assert bouts(recording) == [
        (2, 2, "rear", 50, 75),
        (2, 1, "attack", 100, 120),
        (1, 2, "attack", 150, 170),
    ]


def test_whether_an_end_frame_is_included_is_not_known():
    [annotations] = content("sheet_frames", "trial.csv").annotations
    assert annotations.is_counting_assumed
    assert events_of("sheet_frames", "trial.csv")[0] == (25, 49, "attack", "resident")

    [ours] = content("bouts_subject_column", "trial.csv").annotations
    assert not ours.is_counting_assumed


@pytest.mark.parametrize(
    "action",
    ["action", "Behaviour", "behavior", "type", "Label", "behavior_name", "Category"],
)
@pytest.mark.parametrize("subject", ["subject", "Mouse", "animal_id", "Initiator"])
@pytest.mark.parametrize(
    ("start", "stop", "factor"),
    [
        ("start_s", "stop_s", 1),
        ("from (sec)", "to (sec)", 1),
        ("Onset [ms]", "Offset [ms]", 1000),
        ("start", "end", 1),
        ("t_start", "t_end", 1),
        ("StartSec", "endsec", 1),
        ("Start (s)", "Duration (s)", 1),
    ],
)
def test_the_columns_of_bouts_have_many_names(
    tmp_path, action, subject, start, stop, factor
):
    second = 1.5 if "Duration" in stop else 2.5
    (tmp_path / "x.csv").write_text(
        f"{subject},{action},{start},{stop}\nm2,dig,{1.0 * factor},{second * factor}\n"
    )
    assert events_of(tmp_path, "x.csv", fps=10) == [(10, 25, "dig", "m2")]


@pytest.mark.parametrize("names", ["startframe,endframe", "Frame start,Frame end"])
def test_frames_of_bouts_have_many_names(tmp_path, names):
    text = f"initiator,receiver,behavior,{names}\nm2,m1,bite,10,20\n"
    (tmp_path / "x.csv").write_text(text)

    [annotations] = content(tmp_path, "x.csv").annotations

    assert annotations.is_counting_assumed
    [event] = annotations.events
    assert (event.start, event.stop) == (10, 20)
    assert (event.subject, event.target) == ("m2", "m1")


def test_whole_numbers_without_a_unit_are_asked_about(tmp_path):
    (tmp_path / "x.csv").write_text("behaviour,start,end\ndig,10,20\n")

    with pytest.raises(LeftOut, match="no unit: name them start_s and stop_s"):
        content(tmp_path, "x.csv")


def test_our_own_predictions_are_a_programs(tmp_path):
    (tmp_path / "x.csv").write_text(
        "video,agent,target,action,start_frame,stop_frame,model_hash\n"
        "day1,m1,m2,dig,1,3,abc\n"
    )
    [annotations] = content(tmp_path, "x.csv").annotations
    assert annotations.by == "program"


# JABS and Bento.


def test_jabs_annotations_are_present_not_present_or_not_labelled():
    [recording] = imported("jabs_annotations", fps=None).values()

    assert (recording.standard.name, recording.standard.poses.length) == ("cage1", 200)
    assert bouts(recording) == [(1, 1, "Rearing", 50, 100)]
    spans = [(each.start, each.stop) for each in recording.coverage]
    assert spans == [(50, 100), (120, 151)]


def test_bento_annotations_count_frames_from_one_to_the_last():
    assert events_of("bento_annot", "trial.annot") == [
        (25, 50, "attack", ""),
        (100, 110, "attack", ""),
        (150, 160, "sniff", ""),
    ]
    [annotations] = content("bento_annot", "trial.annot").annotations
    assert (annotations.fps, annotations.behaviours) == (25, ("attack", "sniff"))


def test_bento_annotations_in_seconds(tmp_path):
    (tmp_path / "x.annot").write_text(
        "Bento annotation file\nMovie file(s): a.seq\n\nAnnotation framerate: 25\n\n"
        "List of channels:\nCh1\n\nList of annotations:\ndig\n\nCh1----------\n>dig\n"
        "Start\tStop\tDuration\n1.0\t2.04\t1.04\n\n"
    )
    assert events_of(tmp_path, "x.annot") == [(25, 51, "dig", "")]


# Annotators of other programs.

TRACKS = "trialDLC_dlcrnetms5_socialMar1shuffle1_50000_el.csv"
DIRECTED = [
    (1, 2, "attack", 25, 50),
    (1, 2, "attack", 150, 175),
    (2, 1, "sniff", 100, 125),
]
LOGS = {
    "elan_eaf": DIRECTED,
    "ethovision_scoring": DIRECTED,
    "via_csv": DIRECTED,
    "observer_semi": [*DIRECTED, (1, 1, "rear", 200, 201)],
    "observer_xlsx": [*DIRECTED, (1, 1, "rear", 200, 201)],
}


@pytest.mark.parametrize("name", LOGS)
def test_logs_with_subjects(name):
    [recording] = imported(name).values()
    assert sorted(bouts(recording)) == sorted(LOGS[name])


@pytest.mark.parametrize(
    ("name", "file"), [("jwatcher", "trial.dat"), ("label_studio", "project-1.json")]
)
def test_logs_without_subjects(name, file):
    assert [event[:3] for event in events_of(name, file)] == WHOLE
    [annotations] = content(name, file).annotations
    assert set(annotations.behaviours) == {"attack", "sniff"}
    [recording] = imported(name).values()
    assert len(bouts(recording)) == 3


def test_several_people_in_label_studio_are_not_joined(tmp_path):
    [task] = json.loads((case("label_studio") / "project-1.json").read_text())
    task["annotations"] *= 2
    (tmp_path / "x.json").write_text(json.dumps([task]))

    with pytest.raises(LeftOut, match="by several people"):
        content(tmp_path, "x.json")


def test_label_studio_has_a_short_form_with_a_task_for_each_person(tmp_path):
    spans = [(26, 50, "attack"), (101, 125, "sniff"), (151, 175, "attack")]
    values = [
        {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
        for start, end, label in spans
    ]
    task = {
        "video": "/data/upload/1/ab12cd-trial.mp4",
        "id": 1,
        "l": values,
        "annotator": 1,
        "created_at": "2025-03-01T10:00:00.123Z",
    }
    (tmp_path / "x.json").write_text(json.dumps([task]))
    [annotations] = content(tmp_path, "x.json").annotations

    assert annotations.name == "trial"
    assert [event[:3] for event in events_of(tmp_path, "x.json")] == WHOLE
    (tmp_path / "y.json").write_text(json.dumps([task, task | {"annotator": 2}]))
    with pytest.raises(LeftOut, match="by several people"):
        content(tmp_path, "y.json")


VIA_TITLE = "# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/)\n"


@pytest.mark.parametrize("attribute", ["TEMPORAL-SEGMENTS", "1", "Behaviour"])
def test_stretches_alone_of_via_have_two_columns_of_times(tmp_path, attribute):
    rows = [
        f'"{n}","[""trial.mp4""]",{start},{start + 1},"{{""{attribute}"":""{name}""}}"'
        for n, (start, name) in enumerate([(1, "attack"), (4, "sniff"), (6, "attack")])
    ]
    names = "metadata_id, file_list, temporal_segment_start, temporal_segment_end"
    (tmp_path / "x.csv").write_text(
        "\n".join([f"{VIA_TITLE}# CSV_HEADER = {names}, metadata", *rows])
    )

    assert [event[:3] for event in events_of(tmp_path, "x.csv")] == WHOLE


def test_marks_on_pictures_in_via_are_passed(tmp_path):
    text = (case("via_csv") / "trial_via.csv").read_text()
    marks = '"1_8","[""trial.mp4""]","0","[5.0]","[2,1,2,3,4]","{}"\n'
    marks += '"1_9","[""trial.mp4""]","0","[]","[2,1,2,3,4]","{}"\n'
    (tmp_path / "x.csv").write_text(text + marks)

    assert [event[:3] for event in events_of(tmp_path, "x.csv")] == WHOLE
    head = "".join(text.splitlines(keepends=True)[:3])
    (tmp_path / "y.csv").write_text(head + marks)
    with pytest.raises(LeftOut, match="without stretches of time"):
        content(tmp_path, "y.csv")


def test_links_between_results_of_label_studio_are_passed(tmp_path):
    [task] = json.loads((case("label_studio") / "project-1.json").read_text())
    link = {"type": "relation", "from_id": "0", "to_id": "1", "direction": "right"}
    task["annotations"][0]["result"].append(link)
    (tmp_path / "x.json").write_text(json.dumps([task]))

    assert [event[:3] for event in events_of(tmp_path, "x.json")] == WHOLE


def test_the_rate_at_which_label_studio_counts_is_asked_to_be_checked():
    [annotations] = content("label_studio", "project-1.json").annotations

    assert any("24 per second by default" in note for note in annotations.notes)


def test_keys_of_jwatcher_are_names_where_the_master_file_is_absent(tmp_path):
    shutil.copy(case("jwatcher") / "trial.dat", tmp_path)

    [annotations] = content(tmp_path, "trial.dat").annotations
    assert set(annotations.behaviours) == {"a", "n", "s"}
    assert any("social.fmf" in note for note in annotations.notes)


def test_a_tier_of_elan_may_be_a_behaviour(tmp_path):
    text = (case("elan_eaf") / "trial.eaf").read_text()
    text = text.replace('PARTICIPANT="resident"', "").replace("attack</A", "</A")
    (tmp_path / "trial.eaf").write_text(text.replace('ID="resident"', 'ID="attack"'))

    assert events_of(tmp_path, "trial.eaf") == [
        (25, 50, "attack", ""),
        (100, 125, "sniff", "intruder"),
        (150, 175, "attack", ""),
    ]


def test_an_elan_document_with_entities_is_refused(tmp_path):
    text = (case("elan_eaf") / "trial.eaf").read_text()
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]>\n<ANNOTATION_DOCUMENT'
    (tmp_path / "x.eaf").write_text(text.replace("<ANNOTATION_DOCUMENT", bomb, 1))

    with pytest.raises(DataError, match="no document type or entities"):
        content(tmp_path, "x.eaf")


# ELAN's tab-delimited text.

ELAN_RIGHT = [
    (25, 50, "attack", "resident"),
    (100, 125, "sniff", "intruder"),
    (150, 175, "attack", "resident"),
]

ELAN_MS = [("resident", 1000, "attack"), ("intruder", 4000, "sniff")]
ELAN_MS += [("resident", 6000, "attack")]
"""Tier, begin and text; all last a second."""


def elan_time(ms, form):
    if form == "msec":
        return f"{ms}"
    clock = f"00:{ms // 60_000:02d}:{ms % 60_000 / 1000:06.3f}"
    return clock if form == "hh:mm:ss.ms" else f"{ms / 1000:.3f}"


@pytest.mark.parametrize("has_participant", [True, False])
@pytest.mark.parametrize("has_duration", [True, False])
@pytest.mark.parametrize(
    "forms", [("hh:mm:ss.ms", "ss.msec"), ("hh:mm:ss.ms",), ("hh:mm:ss.ms", "msec")]
)
def test_an_export_of_elan_without_names_of_columns(
    tmp_path, forms, has_duration, has_participant
):
    rows = []
    for tier, begin, text in ELAN_MS:
        times = [begin, begin + 1000, *([1000] if has_duration else [])]
        cells = [elan_time(ms, form) for ms in times for form in forms]
        rows.append([tier, *([""] if has_participant else []), *cells, text])
    (tmp_path / "x.txt").write_text("\n".join("\t".join(row) for row in rows) + "\n")

    assert events_of(tmp_path, "x.txt") == ELAN_RIGHT


@pytest.mark.parametrize("form", ["ss.msec", "msec"])
def test_an_export_of_elan_in_one_format_needs_durations(tmp_path, form):
    rows = [
        [tier, "", *(elan_time(ms, form) for ms in (at, at + 1000, 1000)), text]
        for tier, at, text in ELAN_MS
    ]
    (tmp_path / "x.txt").write_text("\n".join("\t".join(row) for row in rows) + "\n")

    assert events_of(tmp_path, "x.txt") == ELAN_RIGHT


@pytest.mark.parametrize("above", ["", '"#file:///C:/films/trial.mp4"\n'])
@pytest.mark.parametrize("form", ["ss.msec", "msec", "hh:mm:ss.ms"])
@pytest.mark.parametrize(
    "names",
    [
        ("Begin Time", "End Time", "Duration"),
        ("Begin Time", "Duration"),
        ("Anfangszeit", "Endzeit", "Dauer"),
        ("Temps de départ", "temps de fin"),
    ],
)
def test_an_export_of_elan_with_a_column_for_each_tier(tmp_path, names, form, above):
    rows = [[*(f"{name} - {form}" for name in names), "resident", "intruder"]]
    for tier, at, text in ELAN_MS:
        ends = {"Du": 1000, "Da": 1000}
        times = [at, *(ends.get(name[:2], at + 1000) for name in names[1:])]
        texts = [text if tier == each else "" for each in ("resident", "intruder")]
        rows.append([*(elan_time(ms, form) for ms in times), *texts])
    text = above + "\n".join("\t".join(row) for row in rows) + "\n"
    (tmp_path / "x.txt").write_text(text, encoding="utf-8")

    assert events_of(tmp_path, "x.txt") == ELAN_RIGHT


def test_times_of_elan_are_those_of_a_film_that_was_synchronized(tmp_path):
    text = (case("elan_eaf") / "trial.eaf").read_text()
    media = 'MIME_TYPE="video/mp4"'
    later = text.replace(media, f'{media} TIME_ORIGIN="2000"')
    (tmp_path / "trial.eaf").write_text(later)

    assert [event[:2] for event in events_of(tmp_path, "trial.eaf")] == [
        (75, 100),
        (150, 175),
        (200, 225),
    ]


def test_other_tables_with_tabs_are_no_export_of_elan(tmp_path):
    (tmp_path / "x.txt").write_text("resident\t1.0\t2.0\tattack\nb\t3.0\t4.5\tsniff\n")

    with pytest.raises(DataError, match="of no known format"):
        content(tmp_path, "x.txt")


# CowLog, JWatcher, The Observer.


def test_codes_of_cowlog_end_at_the_next_of_their_class(tmp_path):
    """Classes are apart, and pairs of start and stop count as they are."""
    (tmp_path / "trial.csv").write_text(
        "time,code,class\n0,none,1\n1,attack,1\n1.5,left,2\n2,none,1\n"
        "4,sniff start,3\n5,sniff stop,3\n6,attack,1\n7,none,1\n10,END,0\n"
    )

    assert events_of(tmp_path, "trial.csv") == [
        (25, 50, "attack", ""),
        (38, 250, "left", ""),
        (100, 125, "sniff", ""),
        (150, 175, "attack", ""),
    ]
    [annotations] = content(tmp_path, "trial.csv").annotations
    assert annotations.length == 10
    assert annotations.notes == ()


def test_codes_of_cowlog_without_an_end_are_said(tmp_path):
    (tmp_path / "x.csv").write_text("time,code,class\n1,attack,1\n2,rear,1\n")
    [annotations] = content(tmp_path, "x.csv").annotations

    assert [event[:3] for event in events_of(tmp_path, "x.csv")] == [(25, 50, "attack")]
    assert set(annotations.behaviours) == {"attack", "rear"}
    assert any("has no END" in note for note in annotations.notes)


def test_codes_of_cowlog_with_modifiers_are_refused_by_name(tmp_path):
    (tmp_path / "x.csv").write_text("time,class1,class2\n1,attack,left\n")

    with pytest.raises(LeftOut, match="CowLog with modifiers"):
        content(tmp_path, "x.csv")


def test_that_keys_of_jwatcher_end_each_other_is_an_assumption():
    [annotations] = content("jwatcher", "trial.dat").annotations

    assert any("taken to end the one before" in note for note in annotations.notes)


@pytest.mark.parametrize("modifier", ["left", ""])
def test_states_of_the_observer_end_after_their_duration(tmp_path, modifier):
    """Also where a log was filtered to starts, or stops lack the modifiers."""
    rows = [
        "Time_Relative_sf;Duration_sf;Observation;Subject;Behavior;Modifier_1;Event_Type",
        f"1,00;1,00;trial;m1;dig;{modifier};State start",
        f"3,00;1,01;trial;m1;rear;{modifier};State start",
        f"4,00;0,00;trial;m1;rear;{modifier};State stop",
        "6,00;0,00;trial;m1;rear;;State point",
    ]
    (tmp_path / "trial.csv").write_text("\n".join(rows))

    assert events_of(tmp_path, "trial.csv") == [
        (25, 50, "dig", "m1"),
        (75, 100, "rear", "m1"),
        (150, 150, "rear", "m1"),
    ]
    [annotations] = content(tmp_path, "trial.csv").annotations
    assert annotations.notes == ()


def test_events_of_the_observer_before_the_beginning_are_cut(tmp_path):
    header = "Time_Relative_sf;Observation;Subject;Behavior;Event_Type"
    rows = [
        "-2,00;trial;m1;dig;State start",
        "-1,00;trial;m1;dig;State stop",
        "-0,40;trial;m1;rear;State start",
        "1,00;trial;m1;rear;State stop",
        "-0,10;trial;m1;dig;State point",
        "2,00;trial;m1;dig;State point",
    ]
    (tmp_path / "trial.csv").write_text("\n".join([header, *rows]))
    [annotations] = content(tmp_path, "trial.csv").annotations

    assert events_of(tmp_path, "trial.csv") == [
        (0, 25, "rear", "m1"),
        (50, 50, "dig", "m1"),
    ]
    assert any("3 events cut" in note for note in annotations.notes)


# Programs whose files are not read: refused by name, in one sentence.

REFUSED = [
    ("anymaze", "Test 1.csv", "ANY-maze"),
    ("coco_results", "trial_coco_instances_results.json", "no identities"),
    ("jwatcher", "social.fmf", "JWatcher"),
]


@pytest.mark.parametrize(("name", "file", "program"), REFUSED)
def test_what_is_not_read_is_refused_by_its_name(name, file, program):
    with pytest.raises(LeftOut, match=program) as refusal:
        content(name, file)
    assert refusal.value.reason.count(".") >= 1
    assert "\n" not in refusal.value.reason


def test_a_folder_of_like_files_is_one_line(tmp_path):
    for number in range(20):
        source = case("coco_results") / "trial_coco_instances_results.json"
        shutil.copy(source, tmp_path / f"day{number}.json")

    lines = list(inspect(tmp_path, Project()))

    assert len(lines) == 1
    assert "20 files" in lines[0]
    assert "no identities" in lines[0]


def test_a_file_of_another_program_does_not_stop_the_others(tmp_path):
    for name, file in (("anymaze", "Test 1.csv"), ("seconds_tables", TRACKS)):
        shutil.copy(case(name) / file, tmp_path)
    plan = plan_import(tmp_path, Project(fps=25))

    assert [each.track.name for each in plan.recordings] == ["trial"]
    assert any("ANY-maze" in line for line in describe_plan(plan))


def test_where_nothing_is_read_the_error_names_the_program():
    with pytest.raises(DataError, match="no identities"):
        plan_import(case("coco_results"), Project(fps=25))


# Long tables of points.


def test_a_confidence_called_likelihood_has_its_usual_limit():
    [recording] = imported("long_likelihood").values()

    missing = 1 - recording.standard.poses.present.mean()
    assert missing == pytest.approx(0.125, abs=0.01)
    assert recording.standard.pixels_per_cm == pytest.approx(8, abs=0.5)


def test_points_of_anipose_have_three_dimensions_and_a_score():
    poses = poses_of("anipose", "pose-3d/trial.csv")

    assert poses.keypoints == ("nose", "left_ear", "right_ear", "tail_base")
    assert (poses.animals, poses.length) == (("animal1",), 250)
    np.testing.assert_array_equal(poses.xy_px[1, 0, 0], [324.375, 295.875])
    np.testing.assert_array_equal(poses.z_px[0, 0], [20, 21, 22, 23])
    assert any("axes are those of its first camera" in note for note in poses.notes)


def test_the_axes_that_anipose_was_given_need_no_note(tmp_path):
    text = case("anipose").joinpath("pose-3d", "trial.csv").read_text()
    place = tmp_path / "trial.csv"
    place.write_text(text.replace(",1,0,0,0,1,0,0,0,1,", ",0,1,0,1,0,0,0,0,-1,"))
    [poses] = read_file(place).poses

    assert not any("axes" in note for note in poses.notes)


def test_the_third_dimension_is_kept():
    z = poses_of("long_3d", "trial.csv").z_px

    np.testing.assert_array_equal(z[0, 0], [20, 21, 22, 23])


def test_coordinates_relative_to_the_picture_ask_for_its_size():
    with pytest.raises(DataError, match=r"set `size: \[width, height\]` in pixels"):
        plan_import(case("long_normalised"), Project(fps=25))


def test_coordinates_relative_to_the_picture_become_pixels_of_its_size():
    raw = poses_of("long_normalised", "trial.csv")
    [recording] = imported("long_normalised", size=(640, 480)).values()

    assert raw.unit == "picture"
    assert recording.standard.poses.unit == "pixel"
    np.testing.assert_allclose(
        recording.standard.poses.xy_px[0], raw.xy_px[0] * [640, 480], rtol=1e-5
    )


def test_a_long_table_of_several_videos_is_several_recordings(tmp_path):
    rows = ["video,frame,individual,keypoint,x,y"]
    rows += [
        f"{video},{frame},m1,nose,{10 * at + frame},5"
        for at, video in enumerate(("day1.mp4", "day2.mp4"), start=1)
        for frame in range(3)
    ]
    (tmp_path / "x.csv").write_text("\n".join(rows))

    first, second = content(tmp_path, "x.csv").poses
    assert (first.name, second.name) == ("day1", "day2")
    assert first.xy_px[:, 0, 0, 0].tolist() == [10, 11, 12]
    assert second.xy_px[:, 0, 0, 0].tolist() == [20, 21, 22]


# NWB.


def write_session(path, groups, *, scratch=None):
    """Write `PoseEstimation` groups as pynwb does: name → keypoints and settings."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        for name, about in groups.items():
            group = file.create_group(f"processing/behavior/{name}")
            group.attrs["neurodata_type"] = "PoseEstimation"
            group["source_software"] = about.get("software", "SLEAP")
            if "video" in about:
                group["original_videos"] = [about["video"].encode()]
            frames = about.get("frames", 6)
            for at, keypoint in enumerate(about.get("keypoints", MICE)):
                series = group.create_group(keypoint)
                series.attrs["neurodata_type"] = "PoseEstimationSeries"
                series["data"] = np.full((frames, 2), 10.0 * at + about.get("x", 0) + 1)
                series["confidence"] = np.full(frames, about.get("confidence", 0.9))
                series["timestamps"] = about.get("start", 0) + (
                    np.arange(frames) / about.get("rate", 25)
                )
        if scratch:
            file["scratch/jabs_metadata"] = scratch
    return path


def test_poses_and_bouts_of_a_session_are_on_one_clock():
    found = content("nwb_session_clock", "session1.nwb")
    [poses], [annotations] = found.poses, found.annotations

    assert (poses.start_s, poses.fps, annotations.clock) == (4, 25, "session")
    frames = [
        (round((e.start - 4) * 25), round((e.stop - 4) * 25), e.behaviour)
        for e in annotations.events
    ]
    assert frames == [(25, 50, "rear"), (100, 125, "groom")]


def test_timestamps_that_begin_later_are_the_same(tmp_path):
    path = write_session(tmp_path / "x.nwb", {"m1": {"start": 4.0}})

    [poses] = content(tmp_path, path.name).poses
    assert (poses.start_s, poses.first_frame, len(poses.xy_px)) == (4, 0, 6)


def test_the_corners_of_an_arena_are_no_animal(tmp_path):
    groups = {
        "corners": {"frames": 1, "keypoints": ("corners_0", "corners_1")},
        "subject_1": {},
        "subject_2": {"x": 100},
    }
    path = write_session(
        tmp_path / "cage1.nwb", groups, scratch='{"cm_per_pixel": 0.0733418}'
    )
    [poses] = content(tmp_path, path.name).poses

    assert poses.animals == ("subject_1", "subject_2")
    assert "objects, no animals, left out: corners" in poses.notes
    assert poses.pixels_per_cm == pytest.approx(13.63, abs=0.01)


def test_objects_with_a_skeleton_of_their_own_are_left_out(tmp_path):
    """Also where they have as many frames as the animals."""
    groups = {
        "lixit": {"keypoints": ("tip", "side")},
        "subject_1": {},
        "subject_2": {"x": 100},
    }
    [poses] = content(tmp_path, write_session(tmp_path / "x.nwb", groups).name).poses
    assert poses.animals == ("subject_1", "subject_2")


def test_each_camera_is_a_recording(tmp_path):
    groups = {
        "left": {"video": "left.mp4", "rate": 60, "start": 2.0},
        "right": {"video": "right.mp4", "rate": 150, "x": 100},
    }
    first, second = content(
        tmp_path, write_session(tmp_path / "s1.nwb", groups).name
    ).poses

    assert (first.name, first.video, len(first.animals)) == ("s1_left", "left.mp4", 1)
    assert (second.name, second.fps, second.start_s) == ("s1_right", 150, 0)
    assert (first.fps, first.start_s) == (60, 2)


def test_lightning_pose_in_nwb_has_the_usual_limit(tmp_path):
    path = write_session(tmp_path / "x.nwb", {"m1": {"software": "LightningPose"}})
    assert content(tmp_path, path.name).poses[0].usual_confidence == 0.6


# Events of SLEAP's projects.


def write_project(path, *events, provenance=None, fps=None):
    """Write two tracked mice and events: class, type, start, last, subject, target."""
    sio = pytest.importorskip("sleap_io")
    skeleton = sio.Skeleton(["nose", "tail_base"])
    video = sio.Video("day1.mp4", open_backend=False)
    if fps:
        video.backend_metadata["fps"] = fps
    tracks = {name: sio.Track(name) for name in ("m1", "m2")}
    frames = [
        sio.LabeledFrame(
            video=video,
            frame_idx=at,
            instances=[
                sio.PredictedInstance.from_numpy(
                    np.array([[10.0 + at, 5], [20 + at, 5]]) + 100 * n,
                    skeleton=skeleton,
                    score=0.9,
                    track=track,
                )
                for n, track in enumerate(tracks.values())
            ],
        )
        for at in range(40)
    ]
    labels = sio.Labels(
        labeled_frames=frames,
        videos=[video],
        skeletons=[skeleton],
        tracks=list(tracks.values()),
        events=[
            getattr(sio, kind)(
                type=name,
                video=video,
                start_frame=start,
                end_frame=last,
                subject=tracks.get(subject),
                target=tracks.get(target),
            )
            for kind, name, start, last, subject, target in events
        ],
        provenance=provenance or {},
    )
    sio.save_slp(labels, str(path), verbose=False)
    return path


def test_events_by_people_are_labels_and_those_by_programs_are_not(tmp_path):
    path = write_project(
        tmp_path / "day1.slp",
        ("UserEvent", "attack", 10, 19, "m1", "m2"),
        ("UserEvent", "rear", 25, 25, "m2", None),
        ("PredictedEvent", "sniff", 5, 9, "m1", "m2"),
    )
    [annotations] = content(tmp_path, path.name).annotations

    assert annotations.events == (
        Event(10, 20, "attack", "m1", "m2"),
        Event(25, 26, "rear", "m2", SELF),
    )
    assert annotations.behaviours == ("attack", "rear")
    assert any(note.endswith("no labels, left out: 1") for note in annotations.notes)
    [recording] = imported(tmp_path).values()
    assert bouts(recording) == [(1, 2, "attack", 10, 20), (2, 2, "rear", 25, 26)]


def test_a_project_with_predicted_events_alone_has_no_labels(tmp_path):
    path = write_project(
        tmp_path / "day1.slp", ("PredictedEvent", "sniff", 5, 9, "m1", "m2")
    )
    found = content(tmp_path, path.name)

    assert found.annotations == ()
    assert any("events predicted by a program" in note for note in found.poses[0].notes)


def test_rate_scale_and_what_was_watched_are_in_the_provenance(tmp_path):
    about = {
        "fps": 30.0,
        "pix_per_cm_approx": 16.5,
        "behaviors_labeled": '["m1,m2,attack", "m2,self,rear"]',
    }
    path = write_project(
        tmp_path / "day1.slp",
        ("UserEvent", "attack", 10, 19, "m1", "m2"),
        provenance=about,
    )
    found = content(tmp_path, path.name)

    assert (found.poses[0].fps, found.poses[0].pixels_per_cm) == (30, 16.5)
    [annotations] = found.annotations
    assert set(annotations.behaviours) == {"attack", "rear"}
    assert {(w.behaviour, w.subject) for w in annotations.watched} == {
        ("attack", "m1"),
        ("rear", "m2"),
    }
