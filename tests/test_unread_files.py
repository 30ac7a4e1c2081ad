"""What `inspect` says of files that are not read, and the `columns` it suggests."""

import json

import h5py
import numpy as np
import pytest
import yaml
from door_cases import bouts, case
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat
from typer.testing import CliRunner

from mabe.cli.main import app
from mabe.errors import DataError
from mabe.io.exporter import WRITERS
from mabe.io.format_table import all_facts, format_table, with_table
from mabe.io.import_plan import plan_import
from mabe.io.importer import run_import
from mabe.io.inspector import inspect
from mabe.io.project import Project
from mabe.io.readers.formats import FORMATS
from mabe.io.table_columns import suggest_columns
from mabe.io.unknown_files import describe_unread

TRACKS = "trialDLC_dlcrnetms5_socialMar1shuffle1_50000_el.csv"


def lines_of(path, **project):
    """Return the lines about a file that is not read, without the error after them."""
    lines = []
    with pytest.raises(DataError):
        lines.extend(inspect(path, Project(**project)))
    return lines


def suggestion_in(lines):
    """Return the block for project.yaml among the lines of `inspect`."""
    at = next(at for at, line in enumerate(lines) if line.strip() == "columns:")
    return yaml.safe_load("\n".join(lines[at:]))


def lab_folder(folder, *rows, name="trial.csv"):
    """Write a lab's own table beside the tracks of a case."""
    tracks = case("sheet_semi") / TRACKS
    (folder / TRACKS).write_bytes(tracks.read_bytes())
    (folder / name).write_text("\n".join(rows))
    return folder / name


GERMAN = (
    "Tier;Verhalten;Anfang (s);Ende;Kommentar",
    "resident;attack;1,00;2,00;",
    "intruder;sniff;4,00;5,00;unsicher",
    "resident;attack;6,00;7,00;",
)
BOUTS = [
    (1, 2, "attack", 25, 50),
    (2, 1, "sniff", 100, 125),
    (1, 2, "attack", 150, 175),
]


def test_the_suggested_columns_make_a_table_readable(tmp_path):
    path = lab_folder(tmp_path, *GERMAN)

    block = suggestion_in(lines_of(path))
    [recording] = run_import(plan_import(tmp_path, Project(fps=25, **block)), None)

    assert block["columns"] == {
        "action": "Verhalten",
        "start_s": "Anfang (s)",
        "stop_s": "Ende",
        "subject": "Tier",
    }
    assert sorted(bouts(recording)) == sorted(BOUTS)


def test_inspect_reads_a_table_by_the_columns_of_the_project(tmp_path):
    path = lab_folder(tmp_path, *GERMAN)
    block = suggestion_in(lines_of(path))

    lines = list(inspect(path, Project(**block)))

    assert any("3 events" in line for line in lines)
    assert lines[-1] == "  `mabe import` reads labels of the recording trial"


def test_a_folder_shows_the_columns_of_tables_that_are_not_read(tmp_path):
    lab_folder(tmp_path, *GERMAN)

    lines = list(inspect(tmp_path, Project()))

    at = lines.index("trial.csv")
    assert lines[at + 1] == "  not read (see below)"
    assert lines[at + 2].startswith("  columns: Tier, Verhalten, Anfang (s)")
    assert any("trial.csv: not recognised" in line for line in lines)


def test_whole_numbers_without_a_unit_are_suggested_as_frames(tmp_path):
    rows = ("Was;von;bis", "attack;25;50", "sniff;100;125", "attack;150;175")
    path = lab_folder(tmp_path, *rows)

    assert suggestion_in(lines_of(path))["columns"] == {
        "action": "Was",
        "start_frame": "von",
        "stop_frame": "bis",
    }


@pytest.mark.parametrize(
    "rows",
    [
        ("mouse,weight,genotype", "1,22.5,wt", "2,21,ko"),
        ("mouse,weight,genotype", "1,22.5,wt", "2,21,wt"),
        ("x,y", "1,2", "3,4"),
        ("word,other", "a,b", "a,c"),
        ("a,from,to", "x,5,4", "x,5,6"),
    ],
)
def test_a_table_of_something_else_gets_no_suggestion(tmp_path, rows):
    path = lab_folder(tmp_path, *rows)

    lines = lines_of(path)

    assert any(line.startswith("  columns: ") for line in lines)
    assert not any("project.yaml" in line for line in lines)


CELL = st.sampled_from(["", "a", "b", "1", "2,5", "00:01", "nan", "x y", "-3", "1e400"])


@given(st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=6))
def test_suggestions_are_columns_of_the_table(cells):
    names = [f"c{at}" for at in range(5)]

    found = suggest_columns([names, *cells])

    if found is not None:
        assert set(found.columns.values()) <= set(names)
        assert len(set(found.columns.values())) == len(found.columns)
        assert yaml.safe_load("\n".join(found.lines())) == {"columns": found.columns}


def test_what_other_files_hold_is_listed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["signal/raw"] = np.zeros((3, 100))
    savemat(tmp_path / "b.mat", {"K": np.eye(3), "name": "cam"})
    np.savez(tmp_path / "c.npz", first=[1], second=[2])
    (tmp_path / "d.json").write_text(json.dumps({"fps": 25, "cameras": []}))

    assert "  groups and arrays: signal/, signal/raw (3, 100)" in lines_of(
        tmp_path / "a.h5"
    )
    assert "  variables: K, name" in lines_of(tmp_path / "b.mat")
    assert "  arrays: first, second" in lines_of(tmp_path / "c.npz")
    assert "  keys: fps, cameras" in lines_of(tmp_path / "d.json")


def test_files_of_windows_are_passed(tmp_path):
    lab_folder(tmp_path, *GERMAN)
    for name in ("Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")

    lines = "\n".join(inspect(tmp_path, Project()))

    assert "Thumbs" not in lines
    assert "desktop" not in lines


# The table of formats.


def test_the_table_of_formats_is_that_of_the_readers(request):
    page = (request.config.rootpath / "docs" / "formats.md").read_text("utf-8")

    assert with_table(page) == page, (
        "run: python -m mabe.io.format_table docs/formats.md"
    )


def test_every_format_declares_its_facts_once():
    names = [facts.name for facts in all_facts()]

    assert len(names) == len(set(names))
    assert all(known.facts for known in FORMATS)
    written = [facts.name for facts in all_facts() if facts.use == "written"]
    assert {name.split("`")[1] for name in written} == set(WRITERS)
    columns = {line.replace("\\|", "").count("|") for line in format_table()}
    assert len(columns) == 1


def test_formats_are_listed_on_the_command_line():
    result = CliRunner().invoke(app, ["inspect", "--formats"])

    assert result.exit_code == 0
    assert "SLEAP analysis HDF5" in result.output
    assert "ANY-maze" in result.output


def test_a_column_with_an_endless_name_is_shown_in_part(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(f"when,{'[' * 100_000},what\n1,2,3\n", encoding="utf-8")

    lines = list(describe_unread(path))

    assert lines
    assert max(map(len, lines)) < 300
