"""Names in data never decide where files go, and no spreadsheet computes them."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kaggle_files import write_index, write_labels, write_tracking
from test_exports import provenance as plain_provenance
from test_exports import recording, source

from mabe.bouts import Bout
from mabe.cli.main import main
from mabe.errors import MabeError
from mabe.io.exporter import export
from mabe.io.predictions import (
    Predictions,
    read_predictions,
    write_predictions,
)
from mabe.io.probabilities import probabilities_path
from mabe.io.readers.kaggle import read_index
from mabe.io.writers.kaggle import MetadataRow, write_metadata
from mabe.runtime.csv_cells import cell_of, text_of
from mabe.runtime.file_names import MOST_BYTES, path_under, problem_with_name
from mabe.viz.review.corrections import Corrections

CASES = Path(__file__).parent / "hostile"
MODEL = Path(__file__).parent / "models_of_d8a304b" / "scene_tcn.safetensors"

LEADING_OUT = (
    *("..", ".", "../x", "../../../tracks", "a/../../b", "/tmp/x", "a/b", "a\\..\\b"),
    *("", " ", "...", "C:x", "c:\\x", "\\\\host\\share\\x", "a\0b", "a\nb", "\x1b[31m"),
    *("CON", "nul", "aux.1", "LPT9.csv", "x" * 5000, "é" * MOST_BYTES, "\u202ea"),
)
HARMLESS = (
    *("1", "-1", "+x", "Mouse 1 (day 2)", "2024.01.02", "día_1", "鼠", "a..b", "..a"),
    *(
        "console",
        "auxiliary",
        "@home",
        "=x",
        "x" * MOST_BYTES,
        "'quoted'",
        "~x",
        "$HOME",
    ),
)
FORMULAS = (
    "=cmd|'/c calc'!A1",
    "=1+1",
    "+x",
    "-x+y",
    "@SUM(A1)",
    "\t=x",
    "\r=x",
    "'=x",
)


def provenance(about):
    return replace(plain_provenance(about), has_lab_names=True)


def said_by(error):
    """What a caught error says: one line."""
    text = str(error)
    assert "\n" not in text
    return text


anything = st.one_of(
    st.text(max_size=12),
    st.sampled_from(LEADING_OUT),
    st.sampled_from(HARMLESS),
    st.sampled_from(FORMULAS),
    st.lists(st.sampled_from(["..", "/", "\\", "a", ".", "C:", "\0"]), max_size=6).map(
        "".join
    ),
)
ONE_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)


@pytest.mark.parametrize("name", LEADING_OUT)
def test_a_name_that_leads_elsewhere_or_cannot_be_a_file_is_refused(tmp_path, name):
    assert problem_with_name(name)
    for names in ((name, "b"), ("a", name)):
        with pytest.raises(MabeError, match="nothing is written"):
            path_under(tmp_path, *names, ending=".parquet")


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_that_a_laboratory_may_use_is_a_file(tmp_path, name):
    path = path_under(tmp_path, name, name, ending=".earlier-1.parquet")
    beside = path.with_name(f".{path.name}.0123abcd.tmp")  # as `write_atomically` does
    path.parent.mkdir()
    beside.write_text("")
    beside.rename(path)
    assert path.is_file()


@given(lab=anything, video=anything)
@ONE_FOLDER
def test_no_name_leads_out_of_a_folder(tmp_path, lab, video):
    for make in (probabilities_path, path_under, _corrected):
        try:
            path = make(tmp_path / "out", lab, video)
        except MabeError:
            continue
        assert path.resolve().parent.parent.is_relative_to((tmp_path / "out").resolve())
        assert path.parent.name == lab
        assert ".." not in path.parts


def _corrected(folder, lab, video):
    return Corrections(folder, None).path_of(lab, video)


@given(lab=anything, video=anything)
@ONE_FOLDER
def test_a_metadata_table_gives_names_of_files_or_its_row(tmp_path, lab, video):
    write_index(tmp_path, {"lab_id": lab, "video_id": video})
    try:
        [info] = read_index(tmp_path)
    except MabeError as error:
        said = said_by(error)
    else:
        said = ""
    if said:
        assert re.search(r"train\.csv: (row 2: |cannot be read)", said)
        return
    assert problem_with_name(info.lab) is problem_with_name(info.video) is None
    assert info.tracking_path.parent.parent == tmp_path / "train_tracking"


@given(lab=anything, video=anything, animal=anything)
@example(lab="L", video="../../../ESCAPED", animal="a")
@ONE_FOLDER
def test_an_export_stays_in_its_folder(tmp_path, lab, video, animal):
    for old in list(tmp_path.iterdir()):
        shutil.rmtree(old)
    write_named(tmp_path / "pred", lab, video, animal)
    for to in ("boris", "csv", "calms21", "submission"):
        try:
            export(tmp_path / "pred", to, tmp_path / "out")
        except MabeError as error:
            said_by(error)
    assert {path.name for path in tmp_path.iterdir()} <= {"pred", "out"}


def write_named(folder, lab, video, animal):
    """Write predictions of a recording, whatever its names are."""
    folder.mkdir()
    animals = (animal, "other")
    about = source(video=video, animals=animals)
    bout = Bout(1, 5, "sniff", 1, 2, 0.5)
    each = recording(bout, video=video, animals=animals)
    values = provenance(about).to_json()
    values["sources"][0]["lab"] = lab
    (folder / "provenance.json").write_text(json.dumps(values), "utf-8")
    with (folder / "bouts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = "lab video agent target action start_frame stop_frame start_s stop_s"
        writer.writerow([*names.split(), "probability"])
        names = (lab, video, each.name_of(1), each.name_of(2), "sniff")
        writer.writerow([*names, 1, 5, 0.1, 0.5, 0.5])


@given(st.one_of(anything, st.text(alphabet="'=+-@\t\r1.", max_size=5)))
def test_a_cell_is_no_formula_and_comes_back_as_it_was(name):
    cell = cell_of(name)
    assert text_of(cell) == name
    assert not re.match(r"[=@\t\r]", cell)
    assert not re.match(r"[+-]", cell) or re.fullmatch(r"[+-]\d+(\.\d*)?", cell)


@pytest.mark.parametrize("name", ["-1", "+x", "@home", "=x", "'=x", "'quoted'", "x"])
def test_names_come_back_from_every_table(tmp_path, name):
    about = source(video=name, animals=(name, "other"))
    bout = Bout(1, 5, "sniff", 1, 2, 0.5)
    each = recording(bout, video=name, animals=(name, "other"))
    written = Predictions(provenance(about), (each,))
    write_predictions(tmp_path, written)
    assert read_predictions(tmp_path).recordings == (each,)
    row = MetadataRow(
        lab=name,
        video=name,
        fps=30.0,
        pixels_per_cm=10.0,
        length=9,
        animals=(name,),
        parts=("nose",),
        watched=(),
        tracker="DLC",
    )
    write_metadata(tmp_path / "train.csv", [row])
    [info] = read_index(tmp_path)
    assert (info.lab, info.video, info.animals) == (name, name, (name,))


@pytest.mark.parametrize("name", [n for n in FORMULAS if not problem_with_name(n)])
@pytest.mark.parametrize("to", ["csv", "boris", "submission"])
def test_no_table_of_an_export_has_a_formula(tmp_path, name, to, capsys):
    about = source(video=name, animals=(name, "other"))
    bout = Bout(1, 5, name, 1, 2, 0.5)
    each = recording(bout, video=name, animals=(name, "other"))
    write_predictions(tmp_path / "pred", Predictions(provenance(about), (each,)))
    rc = main(["export", str(tmp_path / "pred"), "--to", to, "--out", str(tmp_path)])
    assert rc == (2 if to == "submission" else 0)
    for path in [*tmp_path.rglob("*.csv"), *tmp_path.rglob("*.tsv")]:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            assert not [
                cell for row in rows for cell in row if re.match(r"[=+@\t\r-]", cell)
            ]


# ── the cases of bug reports ──


def files_of(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


def refused(args, capsys, *, names):
    """The command ends with 2 and one line, which has all the words."""
    assert main([str(each) for each in args]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    for name in names:
        assert name in said[0]
    return said[0]


def test_predict_does_not_leave_its_folder(tmp_path, capsys):
    data = shutil.copytree(
        CASES / "predict_escapes_out_dotdot" / "data", tmp_path / "d"
    )
    tracks = write_tracking(data, [(0, 1, "nose", 1, 2)], lab="..", video="tracks")
    before = files_of(tmp_path)

    refused(
        ["predict", MODEL, data, "--out", tmp_path / "o", "--device", "cpu"],
        capsys,
        names=("test.csv", "row 2", "path separator"),
    )
    assert tracks.is_file()
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("name", ["export_escapes_out", "csv_formula_injection"])
@pytest.mark.parametrize("to", ["boris", "csv", "nwb"])
def test_export_does_not_leave_its_folder(tmp_path, capsys, name, to):
    pred = shutil.copytree(CASES / name / "pred", tmp_path / "a" / "b" / "pred")
    before = files_of(tmp_path)

    out = tmp_path / "a" / "b" / "out"
    refused(
        ["export", pred, "--to", to, "--out", out], capsys, names=("provenance.json",)
    )
    assert files_of(tmp_path) == before


def test_import_does_not_leave_its_folder(tmp_path, capsys):
    data = shutil.copytree(CASES / "import_escapes_out_lab" / "data", tmp_path / "a/d")
    before = files_of(tmp_path)

    refused(
        ["import", data, "--out", tmp_path / "a/out"],
        capsys,
        names=("project.yaml", "lab", "../../ESCAPED"),
    )
    assert files_of(tmp_path) == before


@pytest.mark.parametrize(
    ("lab", "video"), [("..", "x"), ("Lab", "../../../ESCAPED"), ("/tmp", "x")]
)
def test_simulation_does_not_leave_its_folder(tmp_path, capsys, lab, video):
    like = tmp_path / "like"
    assert main(["simulate", str(like), "--videos", "1", "--minutes", "0.05"]) == 0
    with (like / "train.csv").open(newline="") as file:
        header, row = csv.reader(file)
    row[header.index("lab_id")], row[header.index("video_id")] = lab, video
    with (like / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, row])
    before = files_of(tmp_path)
    capsys.readouterr()

    refused(
        ["simulate", tmp_path / "a/out", "--like", like], capsys, names=("train.csv",)
    )
    assert files_of(tmp_path) == before


def test_a_store_with_other_names_or_files_is_refused(tmp_path, capsys):
    write_index(tmp_path / "d", {})
    write_tracking(tmp_path / "d", [(0, 1, "nose", 1, 2), (9, 1, "tail_base", 3, 4)])
    write_labels(tmp_path / "d", [])
    store = tmp_path / "store"
    assert main(["prepare", str(tmp_path / "d"), "--out", str(store)]) == 0
    index = (store / "index.json").read_text()
    capsys.readouterr()
    for old, new in (('"video":"1"', '"video":"../1"'), ('"poses-', '"../poses-')):
        assert old in index
        (store / "index.json").write_text(index.replace(old, new))
        refused(
            ["predict", MODEL, store, "--out", tmp_path / "o", "--device", "cpu"],
            capsys,
            names=("index.json", "path separator"),
        )


def test_a_pose_file_whose_name_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / "CON.csv"
    path.write_text("frame,keypoint,x,y\n0,nose,1,1\n1,tail_base,2,2\n")
    options = ["--fps", "30", "--pixels-per-cm", "10"]
    assert main(["import", str(tmp_path / "d"), "--out", str(tmp_path / "o"), *options])
    assert "device on Windows" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
