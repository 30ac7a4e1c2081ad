"""Raw data of EthoVision: a file or a sheet for each subject."""

import csv
import io

import numpy as np
import pytest
from door_cases import bouts, case, content, imported, poses_of
from format_files import write_xlsx

from mabe.errors import DataError
from mabe.io.import_plan import describe_plan, plan_import
from mabe.io.project import Project
from mabe.io.readers.left_out import LeftOut, NothingToImport

RIGHT = [
    (1, 2, "attack", 25, 50),
    (1, 2, "attack", 150, 175),
    (2, 1, "sniff", 100, 125),
]

RIGHT_S = [(1, 1, "attack"), (4, 2, "sniff"), (6, 1, "attack")]
"""When each of them begins, and who acts; all last a second."""

NAMES_AT = 34
"""The line of the case that names the columns; units and samples follow."""


def file_of(subject):
    return f"Raw data-Social-Trial     1-Arena 1-Subject {subject}.txt"


def rows_of(subject):
    """Return the cells of a file of the case, as texts."""
    text = (case("ethovision_raw") / file_of(subject)).read_text(encoding="utf-16")
    return list(csv.reader(io.StringIO(text), delimiter=";"))


def about(rows, **changes):
    """Return rows with other values in the lines about the trial."""
    named = {name.replace("_", " "): value for name, value in changes.items()}
    return [[row[0], named[row[0]]] if row[0] in named else row for row in rows]


def write_text(path, rows, *, delimiter=";", encoding="utf-16"):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    path.write_text(text.getvalue(), encoding=encoding, newline="")
    return path


def as_numbers(rows):
    """Return the rows of a sheet, in which samples are numbers."""
    samples = [
        [cell if cell in ("-", "") else float(cell) for cell in row]
        for row in rows[NAMES_AT + 2 :]
    ]
    return [*rows[: NAMES_AT + 2], *samples]


def test_two_files_of_one_trial_are_one_recording():
    poses = poses_of("ethovision_raw", file_of(1))

    assert (poses.name, poses.animals) == ("trial", ("Subject 1", "Subject 2"))
    assert (poses.fps, poses.length, poses.pixels_per_cm) == (25, 250, 1)
    assert poses.keypoints == ("center", "nose", "tail")
    # Centimetres, y upwards: turned over.
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [-7.4906, -3.4906], rtol=1e-6)
    np.testing.assert_allclose(poses.xy_px[0, 1, 0], [19.0125, 2.1063], rtol=1e-6)
    missing = np.flatnonzero(~poses.present.all(axis=(1, 2)))
    assert missing.tolist() == [60, 61]


def test_what_a_person_scored_is_read_and_zones_are_not():
    [recording] = imported("ethovision_raw", fps=None).values()

    assert sorted(bouts(recording)) == RIGHT
    assert recording.standard.pixels_per_cm == 1
    assert recording.coverage is None
    [annotations] = content("ethovision_raw", file_of(1)).annotations
    assert annotations.behaviours == ("attack", "sniff")


def test_the_other_files_of_a_trial_are_no_loss():
    plan = plan_import(case("ethovision_raw"), Project())

    assert len(plan.recordings) == 1
    assert plan.left_out == 0
    assert any(f"read with {file_of(1)}" in line for line in describe_plan(plan))
    with pytest.raises(NothingToImport, match="one subject"):
        content("ethovision_raw", file_of(2))


def test_the_sheets_of_a_workbook_are_the_same_recording(tmp_path):
    sheets = {f"Track-Arena 1-Subject {n}": as_numbers(rows_of(n)) for n in (1, 2)} | {
        "Hardware-Arena 1": [*rows_of(1)[:NAMES_AT], ["Recording time", "Lamp"]]
    }
    write_xlsx(tmp_path / "Raw data-Social-Trial     1.xlsx", sheets)
    [poses] = content(tmp_path, "Raw data-Social-Trial     1.xlsx").poses
    expected = poses_of("ethovision_raw", file_of(1))

    np.testing.assert_array_equal(poses.xy_px, expected.xy_px)
    assert (poses.name, poses.animals) == (expected.name, expected.animals)
    [recording] = imported(tmp_path, fps=None).values()
    assert sorted(bouts(recording)) == RIGHT


@pytest.mark.parametrize("late_s", [0, 0.004])
def test_a_log_of_the_same_scoring_is_no_second_coder(tmp_path, late_s):
    sheets = {f"Track-Arena 1-Subject {n}": as_numbers(rows_of(n)) for n in (1, 2)}
    log = [
        [second + late_s, second + late_s, f"Subject {subject}", name, event]
        for start_s, subject, name in (
            (1, 1, "attack"),
            (4, 2, "sniff"),
            (6, 1, "attack"),
        )
        for second, event in ((start_s, "state start"), (start_s + 1, "state stop"))
    ]
    names = ["Trial time", "Recording time", "Subject", "Behavior", "Event"]
    units = ["s", "s", "", "", ""]
    sheets["Manual scoring-Arena 1"] = [*rows_of(1)[:NAMES_AT], names, units, *log]
    write_xlsx(tmp_path / "trial.xlsx", sheets)

    [recording] = imported(tmp_path, fps=None).values()
    assert sorted(bouts(recording)) == RIGHT


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_the_export_has_many_forms(tmp_path, delimiter, encoding):
    for n in (1, 2):
        write_text(
            tmp_path / file_of(n), rows_of(n), delimiter=delimiter, encoding=encoding
        )
    [poses] = content(tmp_path, file_of(1)).poses

    np.testing.assert_array_equal(
        poses.xy_px, poses_of("ethovision_raw", file_of(1)).xy_px
    )


def test_decimal_commas_are_read(tmp_path):
    rows = rows_of(1)
    samples = [[cell.replace(".", ",") for cell in row] for row in rows[NAMES_AT + 2 :]]
    write_text(tmp_path / "a.txt", [*rows[: NAMES_AT + 2], *samples])
    [poses] = content(tmp_path, "a.txt").poses

    assert poses.fps == 25
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [-7.4906, -3.4906], rtol=1e-6)


def test_two_arenas_of_a_trial_are_two_recordings(tmp_path):
    for n in (1, 2):
        rows = about(rows_of(n), Arena_name=f"Arena {n}", Subject_name="Subject 1")
        write_text(tmp_path / f"Raw data-Arena {n}-Subject 1.txt", rows)
        sheet = {f"Track-Arena {m}-Subject 1": as_numbers(rows_of(m)) for m in (1, 2)}
    for m, name in enumerate(sheet, start=1):
        sheet[name] = about(sheet[name], Arena_name=f"Arena {m}")
    write_xlsx(tmp_path / "x.xlsx", sheet)

    from_text = [
        content(tmp_path, f"Raw data-Arena {n}-Subject 1.txt").poses[0] for n in (1, 2)
    ]
    from_sheets = content(tmp_path, "x.xlsx").poses
    for found in (from_text, from_sheets):
        assert [each.name for each in found] == ["trial Arena 1", "trial Arena 2"]
        assert all(len(each.animals) == 1 for each in found)


def test_trials_are_not_joined(tmp_path):
    for n in (1, 2):
        rows = about(rows_of(1), Trial_name=f"Trial {n}", Video_file=f"day{n}.mp4")
        write_text(tmp_path / f"t{n}.txt", rows)

    recordings = imported(tmp_path, fps=None)
    assert sorted(recordings) == ["day1", "day2"]


def test_without_a_video_the_trial_is_the_name(tmp_path):
    write_text(tmp_path / "a.txt", about(rows_of(1), Video_file=""))

    assert content(tmp_path, "a.txt").poses[0].name == "Trial 1"


@pytest.mark.parametrize("fps", [12.5, 25, 29.97, 30, 60])
@pytest.mark.parametrize("digits", [2, 3, 6])
def test_the_rate_is_that_of_rounded_steps_although_samples_are_lost(
    tmp_path, fps, digits
):
    rows = rows_of(1)
    samples = rows[NAMES_AT + 2 :]
    for number, row in enumerate(samples):
        row[1] = f"{number / fps:.{digits}f}"
    lost = {*range(40, 45), 100}
    kept = [row for number, row in enumerate(samples) if number not in lost]
    write_text(tmp_path / "a.txt", [*rows[: NAMES_AT + 2], *kept])
    [poses] = content(tmp_path, "a.txt").poses

    assert poses.fps == pytest.approx(fps, rel=2e-3)
    assert len(poses.xy_px) == 250
    given = {60, 61} | lost
    assert set(np.flatnonzero(~poses.present[:, 0].all(axis=1))) == given


def test_recording_time_counts_and_not_trial_time(tmp_path):
    rows = rows_of(1)
    for row in rows[NAMES_AT + 2 :]:
        row[0] = f"{float(row[1]) + 30:.2f}"
    write_text(tmp_path / "a.txt", rows)
    [poses] = content(tmp_path, "a.txt").poses

    assert (poses.first_frame, poses.length) == (0, 250)


def test_other_units_become_centimetres(tmp_path):
    rows = rows_of(1)
    rows[NAMES_AT + 1] = ["mm" if each == "cm" else each for each in rows[NAMES_AT + 1]]
    write_text(tmp_path / "a.txt", rows)
    [poses] = content(tmp_path, "a.txt").poses

    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [-0.74906, -0.34906], rtol=1e-6)
    assert poses.pixels_per_cm == 1


def test_a_video_that_began_earlier_is_said(tmp_path):
    later = about(rows_of(1), Start_time="03/01/2025 10:00:12.500")
    write_text(tmp_path / "a.txt", later)
    [poses] = content(tmp_path, "a.txt").poses

    assert any("`offset_s: 12.5`" in note for note in poses.notes)
    assert not any(
        "offset_s" in note for note in poses_of("ethovision_raw", file_of(1)).notes
    )


def test_samples_without_a_score_were_not_watched(tmp_path):
    rows = rows_of(1)
    for row in rows[NAMES_AT + 102 :]:
        row[15:17] = ["-", "-"]
    write_text(tmp_path / "a.txt", rows)
    [annotations] = content(tmp_path, "a.txt").annotations

    assert {(each.start, each.stop) for each in annotations.watched} == {(0, 4)}
    assert [event.start for event in annotations.events] == [1]


def test_states_that_the_program_found_are_no_behaviours(tmp_path):
    rows = rows_of(1)
    rows[NAMES_AT][15] = "Mobility state(Immobile)"
    rows[NAMES_AT][16] = "Nose in corner"
    write_text(tmp_path / "a.txt", rows)
    found = content(tmp_path, "a.txt")

    assert found.annotations == ()
    assert any("Mobility state(Immobile)" in note for note in found.poses[0].notes)


def test_subjects_at_different_rates_are_refused(tmp_path):
    write_text(tmp_path / "a.txt", rows_of(1))
    rows = rows_of(2)
    write_text(tmp_path / "b.txt", [*rows[: NAMES_AT + 2], *rows[NAMES_AT + 2 :: 2]])

    with pytest.raises(DataError, match="different frame rates"):
        content(tmp_path, "a.txt")


def test_an_export_without_coordinates_is_refused_by_name(tmp_path):
    rows = [row[:2] for row in rows_of(1)]
    write_text(tmp_path / "a.txt", rows)

    with pytest.raises(LeftOut, match="EthoVision XT without coordinates"):
        content(tmp_path, "a.txt")


@pytest.mark.parametrize("keep", [1, 2])
def test_a_file_that_ends_early_is_one_line(tmp_path, keep):
    write_text(tmp_path / "a.txt", rows_of(1)[: NAMES_AT + keep])

    with pytest.raises(DataError) as error:
        content(tmp_path, "a.txt")
    assert "\n" not in str(error.value)


def test_a_workbook_for_each_subject_is_the_same_recording(tmp_path):
    for n in (1, 2):
        path = tmp_path / f"Raw data-Social-Trial     1-Arena 1-Subject {n}.xlsx"
        write_xlsx(path, {f"Track-Arena 1-Subject {n}": as_numbers(rows_of(n))})
    plan = plan_import(tmp_path, Project())

    assert (len(plan.recordings), plan.left_out) == (1, 0)
    [recording] = imported(tmp_path, fps=None).values()
    assert sorted(bouts(recording)) == RIGHT


def test_a_log_in_a_text_beside_the_tracks_is_read(tmp_path):
    for n in (1, 2):
        kept = [*range(15), 17]
        rows = [[row[at] for at in kept if at < len(row)] for row in rows_of(n)]
        write_text(tmp_path / file_of(n), rows)
    log = [
        [f"{second}", f"{second}", f"Subject {subject}", name, event]
        for start_s, subject, name in RIGHT_S
        for second, event in ((start_s, "state start"), (start_s + 1, "state stop"))
    ]
    names = ["Trial time", "Recording time", "Subject", "Behavior", "Event"]
    rows = [*rows_of(1)[:NAMES_AT], names, ["s", "s", "", "", ""], *log]
    write_text(tmp_path / "Manual scoring-Social-Trial     1-Arena 1.txt", rows)

    [recording] = imported(tmp_path, fps=None).values()
    assert sorted(bouts(recording)) == RIGHT


def test_a_damaged_file_beside_it_does_not_stop_a_track(tmp_path):
    write_text(tmp_path / "a-1.txt", rows_of(1))
    (tmp_path / "a-2.txt").write_bytes(b"\xff\xfe" + b"Number of header lines:\0" * 9)
    (tmp_path / "a-3.txt").write_text("Number of header lines:;36\nRecording time")

    assert content(tmp_path, "a-1.txt").poses[0].animals == ("Subject 1",)
