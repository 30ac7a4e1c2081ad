"""Cases of `tests/door` about what belongs together: names, subjects, clocks, rates.

Right values are in the `case.md` of each; the files were made up.
"""

import shutil

import pytest
from door_cases import bouts, case, imported

from mabe.bouts import Watched
from mabe.cli.main import main
from mabe.io.import_plan import plan_import
from mabe.io.inspector import inspect
from mabe.io.project import Project


def files(name):
    """Return which label files a plan uses for each recording."""
    plan = plan_import(case(name), Project(fps=25))
    return {
        each.track.name: [labels.path.name for labels in each.labels]
        for each in plan.recordings
    }


def test_an_equal_name_wins_over_one_that_goes_on():
    recordings = imported("names_prefix")

    assert {name: bouts(each) for name, each in recordings.items()} == {
        "trial": [(1, 2, "attack", 25, 50)],
        "trial_2": [(1, 2, "attack", 125, 165), (1, 2, "sniff", 175, 185)],
        "cage1": [(2, 1, "attack", 50, 75)],
        "cage1_post": [(2, 1, "sniff", 100, 125)],
    }
    assert all(len(names) == 1 for names in files("names_prefix").values())


def test_without_its_own_table_a_recording_does_not_get_that_of_another(tmp_path):
    place = tmp_path / "lab"
    shutil.copytree(case("names_prefix"), place)
    (place / "trial.csv").unlink()
    plan = plan_import(place, Project())

    used = {each.track.name: len(each.labels) for each in plan.recordings}
    assert used == {"trial": 0, "trial_2": 1, "cage1": 1, "cage1_post": 1}


def test_two_tables_that_claim_one_recording_are_named(tmp_path, capsys):
    place = tmp_path / "lab"
    shutil.copytree(case("names_prefix"), place)
    for tracks in place.glob("cage1_post*DLC*"):
        tracks.unlink()
    code = main(["import", str(place), "--out", str(tmp_path / "out")])

    assert code == 0
    told = capsys.readouterr().out
    assert "labels of 2 files are joined: cage1.csv, cage1_post.csv" in told
    assert "cage1_post.csv → cage1  (its name goes on with 'post')" in told


def test_dlc_in_the_name_of_a_video():
    assert list(imported("dlc_in_name")) == ["preDLC_day1", "preDLC_day2"]


def test_the_video_that_a_sleap_file_names_is_that_of_its_labels():
    recordings = imported("sleap_gui_names")

    assert {name: bouts(each) for name, each in recordings.items()} == {
        "labels.v001.000_M1_eating": [(1, 1, "eat", 25, 50)],
        "labels.v001.001_M2_eating": [(1, 1, "eat", 125, 150)],
    }


def test_a_file_for_each_subject_has_the_subject_in_its_name():
    [recording] = imported("boris_binary_per_subject").values()

    assert bouts(recording) == [(1, 2, "attack", 25, 50), (2, 1, "sniff", 125, 150)]
    assert recording.watched == (
        *(Watched(1, 2, "attack"), Watched(1, 2, "sniff")),
        *(Watched(2, 1, "attack"), Watched(2, 1, "sniff")),
    )
    told = [guess.what for guess in recording.guesses if guess.kind == "subject"]
    assert "trial_intruder.tsv is of intruder" in told


def test_whose_a_file_is_may_be_said():
    labels = [
        {"file": "trial_resident.tsv", "subject": "intruder"},
        {"file": "trial_intruder.tsv", "subject": "resident"},
    ]
    told = {"trial": {"labels": labels}}
    [recording] = imported("boris_binary_per_subject", recordings=told).values()

    assert bouts(recording) == [(2, 1, "attack", 25, 50), (1, 2, "sniff", 125, 150)]


def test_subjects_are_those_of_each_video():
    recordings = imported("subject_ids_per_video", fps=None)

    expected = [(1, 2, "attack", 25, 50), (2, 1, "attack", 100, 125)]
    assert {name: bouts(each) for name, each in recordings.items()} == {
        "pair01": expected,
        "pair02": expected,
    }
    told = {(guess.recording, guess.what) for guess in recordings["pair02"].guesses}
    assert ("pair02", "M31 → ind1") in told


def test_a_subject_may_be_another_animal_in_each_video():
    told = {"pair02": {"subjects": {"M31": "ind2", "M32": "ind1"}}}
    recordings = imported("subject_ids_per_video", recordings=told)

    assert bouts(recordings["pair01"])[0] == (1, 2, "attack", 25, 50)
    assert bouts(recordings["pair02"])[0] == (2, 1, "attack", 25, 50)


def test_what_a_number_beside_an_event_was_taken_for_is_shown():
    [recording] = imported("numeric_modifier").values()

    assert bouts(recording) == [
        (1, 2, "attack", 25, 50),
        (1, 2, "attack", 75, 100),
        (2, 1, "attack", 125, 150),
        (2, 1, "attack", 175, 200),
    ]
    told = [guess.what for guess in recording.guesses if guess.kind == "modifier"]
    assert told == ["1 → no animal", "2 → no animal", "3 → no animal"]


def test_the_clock_of_a_session_is_that_of_its_poses():
    [recording] = imported("nwb_session_clock", fps=None).values()

    assert bouts(recording) == [(1, 1, "rear", 25, 50), (1, 1, "groom", 100, 125)]


def test_a_files_own_rate_wins_over_the_one_for_files_without():
    recordings = imported("fps_flag")

    assert {name: each.standard.fps for name, each in recordings.items()} == {
        "fast": 50,
        "slow": 25,
    }
    [note] = [note for note in recordings["fast"].notes if "50 fps" in note]
    assert "25 fps are for recordings whose files give none" in note
    told = imported("fps_flag", recordings={"fast": {"fps": 25}})
    assert told["fast"].standard.fps == 25


def test_stops_of_a_persons_sheet_may_be_inclusive():
    [recording] = imported("sheet_frames", stop="inclusive").values()
    assert bouts(recording)[0] == (1, 2, "attack", 25, 50)

    [guessed] = imported("sheet_frames").values()
    assert bouts(guessed)[0] == (1, 2, "attack", 25, 49)
    told = [guess.what for guess in guessed.guesses if guess.kind == "frames"]
    assert "a stop is the frame after a bout" in told


def test_columns_of_a_table_may_be_named():
    columns = {"action": "type", "start_s": "from", "stop_s": "to", "video": "ID"}
    [recording] = imported("seconds_tables", columns=columns).values()

    of_named = {each for each in bouts(recording) if each[2].endswith("upported")}
    assert of_named == {
        (1, 2, "Supported", 25, 50),
        (1, 2, "Unsupported", 100, 125),
    }
    [note] = [note for note in recording.notes if "columns not used" in note]
    assert "Experimenter" in note


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("coco_results", "trial_coco_instances_results.json"),
        ("anymaze", "Test 1.csv"),
    ],
)
def test_label_files_that_are_not_read_never_end_in_a_tick(
    name, file, tmp_path, capsys
):
    folder = tmp_path / "lab"
    folder.mkdir()
    shutil.copy(next(case("seconds_tables").glob("trialDLC*.csv")), folder)
    shutil.copy(case(name) / file, folder)
    command = ["import", str(folder), "--out", str(tmp_path / "out"), "--fps", "25"]

    assert main(command) == 2
    told = capsys.readouterr()
    assert "✓" not in told.out
    assert "none of its labels is used" in told.err
    assert not (tmp_path / "out").exists()


def test_inspect_shows_which_labels_go_to_which_tracks():
    lines = list(inspect(case("subject_ids_per_video"), Project()))

    told = "\n".join(lines[lines.index("\n`mabe import` would do this:") :])
    assert "labels: pair02.csv" in told
    assert "subjects: M31 → ind1, M32 → ind2" in told
    assert "bouts: ind1,ind2,attack (1), ind2,ind1,attack (1)" in told
    assert "Guessed, so check these:" in told


def test_that_z_is_taken_for_the_height_is_shown_and_kept(tmp_path, capsys):
    place = tmp_path / "lab"
    shutil.copytree(case("long_3d"), place)
    words = ["--fps", "30", "--out", str(tmp_path / "out")]
    told = (
        "x, y and heights  (z is taken to point up; `vertical` names another axis)  "
        "[trial]"
    )

    assert main(["inspect", str(place)]) == 0
    assert told in capsys.readouterr().out
    assert main(["import", str(place), *words, "--pixels-per-cm", "10"]) == 0
    assert told in capsys.readouterr().out
    assert told in (tmp_path / "out" / "project.yaml").read_text(encoding="utf-8")
