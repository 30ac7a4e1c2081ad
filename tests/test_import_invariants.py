"""What holds for every import: nothing is joined, dealt or moved in silence.

Folders are generated: names of recordings in any script, subjects, coders, clocks, and
stretches that were watched.
"""

import shutil
import unicodedata
from contextlib import contextmanager
from pathlib import Path

import pytest
from format_files import LENGTH
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lab_folders import SETTINGS, bouts, imported, write_table, write_tracks

from mabe.bouts import Watched, spans_of
from mabe.cli.main import main
from mabe.errors import DataError, MabeError
from mabe.io.import_plan import plan_import
from mabe.io.project import Project, load_project
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.io.recording_names import compare_names, squeeze, without_roles, words_of

ANIMALS = ("a", "b")
NUMBER = {"a": 1, "b": 2}
WITH_TARGET = ("action", "start_frame", "stop_frame", "agent", "target")

quick = settings(max_examples=20, deadline=None, suppress_health_check=[*HealthCheck])


@pytest.fixture(scope="module", autouse=True)
def _place(tmp_path_factory):
    Folders.place = tmp_path_factory.mktemp("labs")


class Folders:
    """Where the folders of examples are, and how many there were."""

    place: Path
    number = 0


@contextmanager
def new_folder():
    """A folder of its own for each example."""
    Folders.number += 1
    folder = Folders.place / str(Folders.number) / "lab"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder.parent)


def spans(longest=LENGTH):
    pairs = st.tuples(st.integers(0, longest - 1), st.integers(1, longest))
    return pairs.filter(lambda pair: pair[0] < pair[1])


# Nothing is written outside of what was watched.

events = st.lists(
    st.tuples(
        st.sampled_from(["explore", "groom", "sniff", "attack"]),
        spans(),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["", "a", "b", "self", "3"]),
    ),
    min_size=1,
    max_size=6,
)


@quick
@given(st.lists(events, min_size=1, max_size=3))
def test_every_bout_is_one_of_what_was_watched_and_goes_to_whom_its_event_names(files):
    with new_folder() as folder:
        for number, those in enumerate(files):
            write_tracks(folder, f"day{number}")
            rows = [(b, *span, who, whom) for b, span, who, whom in those]
            write_table(folder / f"day{number}.csv", rows, WITH_TARGET)
        recordings = imported(folder)

    actions = {behaviour for those in files for behaviour, *_ in those}
    for number, those in enumerate(files):
        recording = recordings[f"day{number}"]
        for bout in recording.bouts:
            what = Watched(bout.agent, bout.target, bout.action)
            assert what in recording.watched
        assert {each.action for each in recording.watched} == actions
        for behaviour, (start, stop), who, whom in those:
            agent = NUMBER[who or "a"]
            of_event = [
                bout
                for bout in recording.bouts
                if bout.action == behaviour
                and bout.agent == agent
                and bout.start <= start
                and stop <= bout.stop
            ]
            assert of_event
            if whom in (*ANIMALS, "self"):
                target = agent if whom == "self" else NUMBER[whom]
                assert target in {bout.target for bout in of_event}


def test_an_event_that_names_its_target_needs_no_guess(tmp_path):
    write_tracks(tmp_path, "day1")
    write_table(tmp_path / "day1.csv", [("explore", 1, 3, "a", "b")], WITH_TARGET)
    recording = imported(tmp_path)["day1"]

    assert bouts(recording) == [(1, 2, "explore", 1, 3)]
    assert Watched(1, 2, "explore") in recording.watched
    assert Watched(1, 1, "explore") not in recording.watched
    assert "action" not in {guess.kind for guess in recording.guesses}


def test_a_bout_that_the_list_of_what_was_watched_lacks_is_an_error(tmp_path):
    write_tracks(tmp_path, "day1")
    write_table(tmp_path / "day1.csv", [("sniff", 1, 3, "a")])
    plan = plan_import(tmp_path, Project(**SETTINGS, watched=("b,a,sniff",)))
    command = ["import", str(tmp_path), "--out", str(tmp_path / "out"), "--fps", "25"]
    (tmp_path / "project.yaml").write_text('watched: ["b,a,sniff"]\n')

    assert plan.has_labels
    assert main(command) == 2


@quick
@given(st.lists(st.sampled_from(["-1", "0", "1"]), min_size=LENGTH, max_size=LENGTH))
def test_frames_that_nobody_labelled_are_neither_yes_nor_no(cells):
    assume("1" in cells)
    with new_folder() as folder:
        write_tracks(folder, "day1")
        rows = [(frame, "0", cell, cell) for frame, cell in enumerate(cells)]
        columns = ("", "background", "sniff", "groom")
        write_table(folder / "day1_labels.csv", rows, columns)
        recording = imported(folder)["day1"]

    marked = {frame for b in recording.bouts for frame in range(b.start, b.stop)}
    assert marked == {frame for frame, cell in enumerate(cells) if cell == "1"}
    if "-1" in cells:
        looked = {frame for frame, cell in enumerate(cells) if cell != "-1"}
        for each in recording.watched:
            spans_ = spans_of(recording.coverage, each).tolist()
            assert {f for a, b in spans_ for f in range(a, b)} == looked


def test_a_column_of_another_recordings_table_was_not_watched_here(tmp_path):
    for day, columns in {"day1": ("sniff", "groom"), "day2": ("sniff",)}.items():
        write_tracks(tmp_path, day)
        rows = [(frame, *(int(frame < 3) for _ in columns)) for frame in range(LENGTH)]
        write_table(tmp_path / f"{day}.csv", rows, ("frame", *columns))
    recordings = imported(tmp_path)

    watched = {
        day: {each.action for each in recording.watched}
        for day, recording in recordings.items()
    }
    assert watched == {"day1": {"sniff", "groom"}, "day2": {"sniff"}}


# A label file belongs to one recording.

WORDS = ("cage", "trial", "Tag", "мышь", "マウス", "Mäuse", "हिंदी", "pre", "x")
names = st.lists(
    st.one_of(st.sampled_from(WORDS), st.integers(1, 12).map(str)),
    min_size=1,
    max_size=3,
).map("_".join)


def bare(name):
    return squeeze(without_roles(words_of(name)))


def letters(name):
    """What `bare` leaves of these names, without the checks of types, which sample."""
    return name.replace("_", "").casefold()


different_names = st.lists(names, min_size=1, max_size=5, unique_by=letters)


@quick
@given(names, names)
def test_names_of_other_letters_are_other_names(one, other):
    assert (bare(one) == bare(other)) == (letters(one) == letters(other))


FORMS = {
    "as it is": lambda name: name,
    "composed": lambda name: unicodedata.normalize("NFC", name),
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "large": str.upper,
    "blanks": lambda name: name.replace("_", " - "),
    "a role": lambda name: f"{name} - Labels",
    "roles": lambda name: f"manual_scored_{name}_events",
}


@quick
@given(different_names, st.sampled_from(sorted(FORMS)), st.data())
def test_labels_go_to_the_recording_of_their_name_whatever_others_are_called(
    recordings, form, data
):
    labelled = data.draw(st.lists(st.sampled_from(recordings), unique=True))
    with new_folder() as folder:
        for at, name in enumerate(recordings):
            write_tracks(folder, name)
            if name in labelled:
                rows = [("sniff", 0, at + 1, "a")]
                write_table(folder / "scores" / f"{FORMS[form](name)}.csv", rows)
        plan = plan_import(folder, Project(**SETTINGS))

    used = {
        files.track.path.name: [
            each.annotations.events[0].stop for each in files.labels
        ]
        for files in plan.recordings
    }
    for at, name in enumerate(recordings):
        [those] = [u for file, u in used.items() if file.startswith(f"{name}DLC")]
        assert those == ([at + 1] if name in labelled else [])


@quick
@given(names, names)
def test_names_are_alike_in_both_orders_and_only_equal_names_are_certain(one, other):
    there, back = compare_names(one, other), compare_names(other, one)
    assert (there is None) == (back is None)
    if there is not None:
        assert there.is_certain == (bare(one) == bare(other))


@quick
@given(different_names, st.integers(2, 3))
def test_recordings_of_one_name_in_several_folders_all_get_a_name(recordings, cages):
    with new_folder() as folder:
        for cage in range(cages):
            for name in recordings:
                write_tracks(folder / f"cage{cage}", name)
                rows = [("sniff", 0, cage + 1, "a")]
                write_table(folder / f"cage{cage}" / f"{name}.csv", rows)
        out = folder.parent / "out"
        options = ["--fps", "25", "--pixels-per-cm", "2"]
        assert main(["import", str(folder), "--out", str(out), *options]) == 0
        videos = read_index(out)
        lengths = {each.video: read_recording(each).bouts[0].stop for each in videos}

    assert len(lengths) == cages * len(recordings)
    assert sorted(lengths.values()) == sorted(
        cage + 1 for cage in range(cages) for _ in recordings
    )
    assert all(f"cage{stop - 1}" in video for video, stop in lengths.items())


def test_labels_that_fit_several_recordings_are_used_for_none_and_named(
    tmp_path, capsys
):
    for cage in ("cage1", "cage2"):
        write_tracks(tmp_path / "lab" / cage, "day1")
    write_table(tmp_path / "lab" / "day1.csv", [("sniff", 1, 3, "a")])
    command = ["import", str(tmp_path / "lab"), "--out", str(tmp_path / "out")]

    assert main([*command, "--fps", "25"]) == 2
    told = capsys.readouterr()
    assert "day1.csv ('day1') fits 2 recordings equally: cage1_day1, cage2_day1" in (
        told.out
    )
    assert f'{{tracks: "cage1/day1{"DLC"}' in told.out
    assert "none of its labels is used" in told.err
    assert "✓" not in told.out
    assert not (tmp_path / "out").exists()


def test_the_folder_of_a_media_path_decides_between_equal_names(tmp_path):
    from test_importing import HEAD

    for cage in ("cage1", "cage2"):
        write_tracks(tmp_path / "tracks" / cage, "day1")
        rows = "".join(
            f"{time},C:\\films\\{cage}\\day1.avi,0.240,25.0,a,{cage} sniff,,{word}\n"
            for time, word in ((0.04, "START"), (0.12, "STOP"))
        )
        path = tmp_path / "scores" / f"table_{cage}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"Observation id,day1\n{HEAD}{rows}")
    recordings = imported(tmp_path)

    for cage in ("cage1", "cage2"):
        assert [b.action for b in recordings[f"{cage}_day1"].bouts] == [f"{cage}_sniff"]


@pytest.mark.parametrize("other", ["trial_2", "trial 3 labels", "trial12"])
def test_the_only_labels_are_not_used_where_their_number_is_another(tmp_path, other):
    write_tracks(tmp_path / "lab", "trial")
    write_table(tmp_path / "lab" / f"{other}.csv", [("sniff", 1, 3, "a")])
    plan = plan_import(tmp_path / "lab", Project(**SETTINGS))

    assert not plan.has_labels
    assert plan.is_without_its_labels


def test_labels_that_begin_two_names_are_used_for_none(tmp_path):
    for camera in ("cam1", "cam2"):
        write_tracks(tmp_path, f"trial_{camera}")
    write_table(tmp_path / "trial.csv", [("sniff", 1, 3, "a")])
    plan = plan_import(tmp_path, Project(**SETTINGS))

    assert not plan.has_labels
    assert "fits 2 recordings equally" in plan.unused[0].reason


def test_names_that_differ_in_case_alone_are_two_recordings(tmp_path):
    if (tmp_path / "A").mkdir() or (tmp_path / "a").exists():
        pytest.skip("the file system knows no case")
    for stop, name in enumerate(("Day", "day"), start=2):
        write_tracks(tmp_path, name)
        write_table(tmp_path / f"{name}.csv", [("sniff", 1, stop, "a")])
    recordings = imported(tmp_path)

    stops = {name: each.bouts[0].stop for name, each in recordings.items()}
    assert stops == {"Day": 2, "day_2": 3}


def test_labels_may_be_given_by_hand(tmp_path):
    write_tracks(tmp_path, "day1")
    write_tracks(tmp_path, "day2")
    write_table(tmp_path / "monday.csv", [("sniff", 1, 3, "a")])
    by_name = {"day2": {"labels": [{"file": "monday.csv", "subject": "b"}]}}
    recordings = imported(tmp_path, recordings=by_name)

    assert bouts(recordings["day2"]) == [(2, 1, "sniff", 1, 3)]
    assert not recordings["day1"].has_labels
    with pytest.raises(MabeError, match="no recording 'day3'"):
        imported(tmp_path, recordings={"day3": {"fps": 25}})


# What a program predicted, and what was imported before, is no label.


def test_predictions_beside_tracks_are_not_used_as_labels(tmp_path, capsys):
    write_tracks(tmp_path, "day1")
    columns = ("video", "agent", "target", "action", "start_frame", "stop_frame")
    rows = [("day1", "mouse1", "mouse2", "sniff", 1, 3)]
    write_table(tmp_path / "out" / "bouts.csv", rows, columns)
    assert imported(tmp_path)["day1"].has_labels

    (tmp_path / "out" / "provenance.json").write_text("{}")
    assert not imported(tmp_path)["day1"].has_labels
    assert main(["inspect", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "out/bouts.csv: predicted by a program, not used" in told


@pytest.mark.parametrize("out", ["data", "first/data"])
def test_an_earlier_import_in_the_folder_is_not_imported_again(tmp_path, out):
    write_tracks(tmp_path, "day1")
    write_table(tmp_path / "day1.csv", [("sniff", 1, 3, "a")])
    command = ["import", str(tmp_path), "--fps", "25", "--out"]
    for place in (out, out, "another"):
        assert main([*command, str(tmp_path / place)]) == 0
        assert len(read_index(tmp_path / place)) == 1


# Subjects are those of a recording's own labels.

ids = st.lists(st.sampled_from(["M1x", "M2x", "M3x", "M4x"]), min_size=1, unique=True)


@quick
@given(st.lists(ids, min_size=1, max_size=4))
def test_no_subject_makes_an_action_absent_that_nobody_could_see(per_recording):
    with new_folder() as folder:
        for at, subjects in enumerate(per_recording):
            write_tracks(folder, f"day{at}")
            rows = [(f"act{n}", n, n + 1, who) for n, who in enumerate(subjects)]
            write_table(folder / f"day{at}.csv", [*rows, ("rear", 0, 2, subjects[0])])
        recordings = imported(folder)

    for at, subjects in enumerate(per_recording):
        recording = recordings[f"day{at}"]
        mapping = recording.labels.mapping
        used = [mapping.subjects[each] for each in subjects if mapping.subjects[each]]
        assert len(set(used)) == len(used) == min(len(subjects), len(ANIMALS))
        watched = {each.action for each in recording.watched}
        marked = {bout.action for bout in recording.bouts}
        for number, who in enumerate(subjects):
            is_used = mapping.subjects[who] is not None
            assert (f"act{number}" in marked) == is_used
            assert (f"act{number}" in watched) == is_used


def test_a_role_is_the_same_animal_in_every_recording(tmp_path):
    for day, subjects in {"v1": ("intruder", "resident"), "v2": ("resident",)}.items():
        write_tracks(tmp_path, day)
        write_table(tmp_path / f"{day}.csv", [("sniff", 1, 3, who) for who in subjects])
    recordings = imported(tmp_path)

    assert bouts(recordings["v2"]) == [(2, 1, "sniff", 1, 3)]
    # The intruder was looked at too, and did not sniff.
    assert recordings["v2"].watched == recordings["v1"].watched


def test_animals_that_never_occur_together_are_not_watched_in_each_other(tmp_path):
    for day, subject in {"v1": "M1x", "v2": "M2x"}.items():
        write_tracks(tmp_path, day)
        write_table(tmp_path / f"{day}.csv", [("sniff", 1, 3, subject)])
    recordings = imported(tmp_path)

    for recording in recordings.values():
        assert bouts(recording) == [(1, 2, "sniff", 1, 3)]
        assert recording.watched == (Watched(1, 2, "sniff"),)


def test_subjects_may_be_given_for_one_recording(tmp_path):
    for day in ("day1", "day2"):
        write_tracks(tmp_path, day)
        write_table(tmp_path / f"{day}.csv", [("sniff", 1, 3, "M1x")])
    told = {"day2": {"subjects": {"M1x": "b"}}}
    recordings = imported(tmp_path, recordings=told)

    assert bouts(recordings["day1"]) == [(1, 2, "sniff", 1, 3)]
    assert bouts(recordings["day2"]) == [(2, 1, "sniff", 1, 3)]


def test_what_recordings_differ_in_is_written_down_and_gives_the_same_again(tmp_path):
    lab = tmp_path / "lab"
    for day, subjects in {"day1": ("M1x", "M2x"), "day2": ("M2x", "M3x")}.items():
        write_tracks(lab, day)
        write_table(lab / f"{day}.csv", [("sniff", 1, 3, each) for each in subjects])
    options = ["--fps", "25", "--pixels-per-cm", "2"]
    first, second = tmp_path / "first", tmp_path / "second"

    assert main(["import", str(lab), "--out", str(first), *options]) == 0
    command = ["import", str(lab), "--out", str(second)]
    assert main([*command, "--project", str(first / "project.yaml")]) == 0
    for path in sorted(first.rglob("*.parquet")):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()


# Several coders are never joined in silence.

coded = st.lists(spans(), min_size=1, max_size=3)


def frames(pairs):
    return {frame for start, stop in pairs for frame in range(start, stop)}


def write_coders(folder, anna, ben):
    write_tracks(folder, "day1")
    for coder, those in (("anna", anna), ("ben", ben)):
        rows = [("sniff", *span, "a") for span in those]
        write_table(folder / f"day1_{coder}.csv", rows)


def frames_of(recording):
    return frames((bout.start, bout.stop) for bout in recording.bouts)


@quick
@given(coded, coded)
def test_two_coders_need_a_choice_which_is_then_kept(anna, ben):
    assume(sorted(anna) != sorted(ben))
    with new_folder() as folder:
        write_coders(folder, anna, ben)
        with pytest.raises(DataError, match=r"day1_anna.csv \(coder anna\).*ben"):
            imported(folder)
        chosen = imported(folder, coders="ben")["day1"]
        copies = imported(folder, coders="copies")
        joined = imported(folder, coders="joined")["day1"]
        both = imported(folder, coders={"use": "both"})["day1"]

    assert frames_of(chosen) == frames(ben)
    assert {name: frames_of(each) for name, each in copies.items()} == {
        "day1.anna": frames(anna),
        "day1.ben": frames(ben),
    }
    assert frames_of(joined) == frames(anna) | frames(ben)
    assert frames_of(both) == frames(anna) & frames(ben)
    [span_rows] = [
        spans_of(both.coverage, each).tolist()
        for each in both.watched
        if each == Watched(1, 2, "sniff")
    ]
    everything = set(range(LENGTH))
    assert frames(span_rows) == everything - (frames(anna) ^ frames(ben))


def test_copies_of_two_coders_have_the_same_tracks(tmp_path):
    write_coders(tmp_path / "lab", [(0, 2)], [(1, 3)])
    (tmp_path / "lab" / "project.yaml").write_text("coders: copies\nfps: 25\n")
    out = tmp_path / "out"

    assert main(["import", str(tmp_path / "lab"), "--out", str(out)]) == 0
    hashes = {read_recording(each).tracking_hash() for each in read_index(out)}
    assert len(read_index(out)) == 2
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ([("rear", 1, 3, "a")], [(1, 1, "rear", 1, 3), (1, 2, "sniff", 0, 2)]),
        ([("sniff", 1, 3, "b")], [(1, 2, "sniff", 0, 2), (2, 1, "sniff", 1, 3)]),
        ([("sniff", 0, 2, "a")], [(1, 2, "sniff", 0, 2)]),
    ],
    ids=["another behaviour", "another subject", "the same events"],
)
def test_files_that_complete_or_repeat_each_other_are_not_two_coders(
    tmp_path, second, expected
):
    write_tracks(tmp_path, "day1")
    write_table(tmp_path / "day1.csv", [("sniff", 0, 2, "a")])
    write_table(tmp_path / "day1_more.csv", second)
    recording = imported(tmp_path)["day1"]

    assert sorted(bouts(recording)) == expected


# All clocks are one.

COUNTED = ("action", "start_frame", "end_frame", "subject")


@quick
@given(
    coded,
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from(["project", "file", "rate"]),
)
def test_the_base_of_frames_and_the_meaning_of_stops_change_nothing(
    those, first, is_inclusive, place
):
    counting = {"first_frame": first, "stop": "inclusive"}
    if not is_inclusive:
        counting["stop"] = "exclusive"
    with new_folder() as folder:
        write_tracks(folder, "day1")
        rows = [
            ("sniff", start + first, stop + first - is_inclusive, "a")
            for start, stop in those
        ]
        write_table(folder / "day1.csv", rows, COUNTED)
        of_file = {"day1": {"labels": [{"file": "day1.csv", **counting}]}}
        told = {"recordings": of_file} if place == "file" else counting
        recording = imported(folder, **told)["day1"]

    assert frames_of(recording) == frames(those)
    assert "frames" not in {guess.kind for guess in recording.guesses}


@quick
@given(coded, st.floats(0, 1000, allow_nan=False).map(lambda x: round(x, 2)))
def test_an_offset_of_the_labels_clock_changes_nothing(those, offset_s):
    with new_folder() as folder:
        write_tracks(folder, "day1")
        rows = [
            (
                "sniff",
                f"{start / 25 + offset_s:.3f}",
                f"{stop / 25 + offset_s:.3f}",
                "a",
            )
            for start, stop in those
        ]
        columns = ("action", "start_s", "stop_s", "subject")
        write_table(folder / "day1.csv", rows, columns)
        labels = [{"file": "day1.csv", "offset_s": offset_s}]
        recording = imported(folder, recordings={"day1": {"labels": labels}})["day1"]

    assert frames_of(recording) == frames(those)


@quick
@given(st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH), st.integers(0, 1))
def test_a_row_for_each_frame_may_count_from_one(active, first):
    with new_folder() as folder:
        write_tracks(folder, "day1")
        rows = [(n, int(is_on), 0) for n, is_on in enumerate(active, start=first)]
        write_table(folder / "day1.csv", rows, ("Frame", "sniff", "attack"))
        recording = imported(folder)["day1"]

    assert frames_of(recording) == {n for n, is_on in enumerate(active) if is_on}


# The lab's own columns, and files that cannot be read.


def test_columns_of_a_labs_own_table_may_be_named(tmp_path):
    write_tracks(tmp_path, "day1")
    rows = [("x", "b", "schnuppern", "0,04", "0,12", "gut")]
    header = ("Nr", "Maus", "Was", "Von", "Dauer", "Notiz")
    text = "\n".join(";".join(cells) for cells in (header, *rows))
    (tmp_path / "day1.csv").write_text(text, encoding="utf-8-sig")
    columns = {
        "subject": "Maus",
        "action": "Was",
        "start_s": "Von",
        "duration_s": "Dauer",
    }
    recording = imported(tmp_path, columns=columns)["day1"]

    assert bouts(recording) == [(2, 1, "schnuppern", 1, 4)]
    assert "columns not used: Nr, Notiz" in recording.notes


odd_files = st.dictionaries(
    st.sampled_from(["a.csv", "b.json", "c.h5", "d.parquet", "day1_x.csv", "e.xlsx"]),
    st.binary(max_size=200),
    min_size=1,
)


@quick
@given(odd_files)
def test_odd_files_do_not_stop_or_change_an_import(odd):
    with new_folder() as folder:
        write_tracks(folder, "day1")
        write_table(folder / "day1.csv", [("sniff", 1, 3, "a")])
        before = bouts(imported(folder)["day1"])
        for name, content in odd.items():
            (folder / name).write_bytes(content)
        plan = plan_import(folder, Project(**SETTINGS))
        named = {each.path.name for each in plan.problems}
        assert bouts(imported(folder)["day1"]) == before == [(1, 2, "sniff", 1, 3)]
    assert named == set(odd)


def test_an_unknown_file_named_for_a_recording_is_told_by_the_exit_code(tmp_path):
    lab = tmp_path / "lab"
    for day in ("day1", "day2"):
        write_tracks(lab, day)
    write_table(lab / "day1.csv", [("sniff", 1, 3, "a")])
    command = ["import", str(lab), "--fps", "25", "--out", str(tmp_path / "out")]
    write_table(lab / "cages.csv", [("7", "white", "m", "x")], ("c", "d", "e", "f"))
    assert main(command) == 0

    write_table(lab / "day2.csv", [("7", "white", "m", "x")], ("c", "d", "e", "f"))
    assert main(command) == 3
    assert main([*command, "--skip-bad"]) == 3


def test_tracks_alone_can_be_imported(tmp_path, capsys):
    lab, out = tmp_path / "lab", tmp_path / "out"
    write_tracks(lab, "day1")
    command = ["import", str(lab), "--fps", "25", "--out", str(out)]
    assert main(command) == 0
    assert "there is nothing to train on" in capsys.readouterr().out

    write_table(lab / "cages.csv", [("7", "white", "m", "x")], ("c", "d", "e", "f"))
    assert main(command) == 2
    assert main([*command, "--skip-bad"]) == 0


def test_many_files_alike_are_one_line(tmp_path, capsys):
    folder = tmp_path / "lab"
    write_tracks(folder, "day1")
    for number in range(50):
        (folder / f"part_{number}.dat").write_bytes(b"\x00\x01" * 20)
    main(["import", str(folder), "--out", str(tmp_path / "out"), "--fps", "25"])

    told = capsys.readouterr().out
    assert sum("part_" in line for line in told.splitlines()) == 1
    assert "50 files (part_0.dat, part_1.dat" in told


@pytest.mark.parametrize("sign", ["\n", "\r", "\x85", "\u2028"])
def test_a_name_with_a_line_break_does_not_become_a_setting(tmp_path, sign):
    lab, out = tmp_path / "lab", tmp_path / "out"
    write_tracks(lab, "day1")
    write_table(lab / "day1.csv", [("sniff", 1, 3, f"M1{sign}fps: 7{sign}")])
    main(["import", str(lab), "--out", str(out), "--fps", "25"])

    assert load_project(out).fps == 25


def test_all_guesses_stand_in_one_table_in_the_project_and_in_inspect(tmp_path, capsys):
    lab, out = tmp_path / "lab", tmp_path / "out"
    write_tracks(lab, "day1")
    rows = [("sniff", 1, 3, "M1x", "strong")]
    write_table(lab / "day1_kim.csv", rows, (*COUNTED, "target"))
    assert main(["inspect", str(lab)]) == 0
    before = capsys.readouterr().out
    assert main(["import", str(lab), "--out", str(out), "--fps", "25"]) == 0
    after = capsys.readouterr().out
    written = (out / "project.yaml").read_text(encoding="utf-8")

    for what in (
        "day1_kim.csv → day1",
        "M1x → a",
        "strong → no animal",
        "sniff → sniff to other",
        "pixels per cm",
        "frames count from 0",
    ):
        for told in (after, written):
            table = told.split("Guessed, so check these:")[1]
            assert what in table
    assert "give --fps" in before
    shutil.rmtree(out)
