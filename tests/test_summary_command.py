"""`mabe summary` from files to tables: names, facts, sources side by side."""

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from kaggle_files import ROW, write_labels, write_tracking
from observation_stories import observed
from python_calamine import CalamineWorkbook

from mabe.bouts import Bout, RecordingBouts
from mabe.cli.main import main
from mabe.io.predictions import (
    PredictionProvenance,
    Predictions,
    RecordingProvenance,
    write_predictions,
)
from mabe.io.probabilities import PROBABILITIES, probabilities_path, write_probabilities
from mabe.measures.agreement import compare
from mabe.measures.observation import PREDICTED
from mabe.measures.summary import TABLES

DATA = Path(os.environ.get("MABE_DATA", "../shared/data"))
WATCHED = ["mouse1,mouse2,attack", "mouse2,mouse1,attack", "mouse1,self,rear"]
ENTRIES = ["mouse1,mouse2,attack", "mouse2,mouse1,attack"]


def write_data(folder, *, videos=6, seconds=20, fps=30.0):
    """Two named animals per video; those of odd videos get a drug and attack more.

    The resident walks along x at 10 cm/s, 5 cm behind the intruder. In video v it
    attacks v times for a second, twice as often with the drug.
    """
    columns = {**ROW, "mouse2_id": "", "mouse1_condition": "", "mouse2_condition": ""}
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for video in range(1, videos + 1):
        length = int(seconds * fps)
        frames = np.arange(length)
        points = []
        for mouse, ahead in ((1, 0.0), (2, 5.0)):
            x = (10 * frames / fps + ahead) * 10
            points += [
                (f, mouse, part, x[f] + shift, 100.0 + video)
                for f in range(length)
                for part, shift in (
                    ("nose", 20),
                    ("body_center", 0),
                    ("tail_base", -30),
                )
            ]
        write_tracking(folder, points, video=f"v{video}")
        has_drug = video % 2
        number = video * (2 if has_drug else 1)
        labels = [(1, 2, "attack", at * 45, at * 45 + 30) for at in range(number)]
        write_labels(folder, labels, video=f"v{video}")
        treatment = "drug" if has_drug else "saline"
        rows.append(
            columns
            | {
                "video_id": f"v{video}",
                "frames_per_second": str(fps),
                "behaviors_labeled": json.dumps(WATCHED),
                "mouse1_id": f"M{video}",
                "mouse2_id": f"=N{video}",
                "mouse1_condition": treatment,
                "mouse2_condition": treatment,
            }
        )
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def write_predicted(folder, *, videos=6, late=15, tracked=None):
    """Predictions of the same videos: every attack ends half a second too late."""
    recordings, sources = [], []
    for video in range(1, videos + 1):
        number = video * (2 if video % 2 else 1)
        about = {
            "lab": "Lab",
            "video": f"v{video}",
            "fps": 30.0,
            "length": 600,
            "animals": (f"M{video}", f"=N{video}"),
        }
        bouts = tuple(
            Bout(at * 45, min(600, at * 45 + 30 + min(late, 14)), "attack", 1, 2, 0.9)
            for at in range(number)
        )
        recordings.append(RecordingBouts(**about, bouts=bouts))
        sources.append(
            RecordingProvenance(**about, tracks_hash=str(video), tracked=tracked)
        )
        write_probabilities(
            probabilities_path(folder / PROBABILITIES, "Lab", f"v{video}"),
            {name: np.zeros(600, np.float32) for name in ENTRIES},
            frames=600,
        )
    provenance = PredictionProvenance(
        mabe="0",
        model="best.safetensors",
        model_hash="0",
        task="pair",
        actions=("attack",),
        rules={},
        rate_fps=30.0,
        variants=1,
        sources=tuple(sources),
        has_lab_names=True,
    )
    write_predictions(folder, Predictions(provenance, tuple(recordings)))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


def summarize(*words):
    return main(["summary", *map(str, words), "--no-figures"])


def table(folder, name):
    return pl.read_parquet(folder / f"{name}.parquet")


def test_labels_become_tables_in_three_formats(data, tmp_path, capsys):
    assert summarize(data, "--out", tmp_path, "--bins", "10s") == 0

    animals = table(tmp_path, "animals")
    row = animals.row(
        by_predicate=(pl.col("recording") == "v3")
        & (pl.col("agent") == "M3")
        & (pl.col("action") == "attack"),
        named=True,
    )
    assert (row["bouts"], row["total_s"], row["share"]) == (6, 6, pytest.approx(0.3))
    assert row["per_min"] == 18
    book = CalamineWorkbook.from_path(str(tmp_path / "summary.xlsx"))
    sheet = book.get_sheet_by_name("animals").to_python()
    assert sheet[0] == animals.columns
    assert len(sheet) == len(animals) + 1
    assert pl.read_csv(tmp_path / "animals.csv").height == len(animals)
    bins = table(tmp_path, "animals_bins")
    assert set(bins["bin"]) == {1, 2}
    assert "annotated attack" in capsys.readouterr().out


def test_names_are_the_lab_s_and_never_formulas(data, tmp_path):
    assert summarize(data, "--out", tmp_path) == 0

    assert "=N3" in table(tmp_path, "animals")["agent"].to_list()
    assert "'=N3" in (tmp_path / "animals.csv").read_text()
    book = CalamineWorkbook.from_path(str(tmp_path / "summary.xlsx"))
    agents = {row[3] for row in book.get_sheet_by_name("animals").to_python()}
    assert "=N3" in agents
    everything = "".join(path.read_text() for path in tmp_path.glob("*.csv"))
    assert "mouse1" not in everything


def test_long_and_wide_hold_the_same_numbers(data, tmp_path):
    assert summarize(data, "--out", tmp_path) == 0

    long, wide = table(tmp_path, "long"), table(tmp_path, "pairs_wide")
    of_v2 = wide.row(
        by_predicate=(pl.col("recording") == "v2")
        & (pl.col("agent") == "M2")
        & (pl.col("target") == "=N2"),
        named=True,
    )
    same = long.filter(
        (pl.col("level") == "pairs")
        & (pl.col("recording") == "v2")
        & (pl.col("agent") == "M2")
        & (pl.col("action") == "attack")
    )
    for measure, value in same.select("measure", "value").iter_rows():
        assert of_v2[f"attack {measure}"] == value
    assert of_v2["attack bouts"] == 2


def test_space_is_measured_in_cm_with_the_share_of_tracked_frames(data, tmp_path):
    """10 cm/s for 20 s, 5 cm apart, all frames tracked."""
    assert summarize(data, "--out", tmp_path, "--within", "6") == 0

    travel, near = table(tmp_path, "travel"), table(tmp_path, "nearness")
    assert travel["tracked_share"].to_list() == [1] * 12
    assert travel["distance_cm"].to_list() == pytest.approx([199] * 12, rel=0.01)
    assert travel["median_speed_cm_s"].to_list() == pytest.approx([10] * 12, rel=0.02)
    assert near["mean_distance_cm"].to_list() == pytest.approx([5] * 6, abs=0.02)
    assert near["within_share"].to_list() == [1] * 6


def test_groups_are_compared_by_a_fact_of_the_animals(data, tmp_path, capsys):
    assert summarize(data, "--out", tmp_path, "--by", "condition") == 0

    row = table(tmp_path, "comparisons").row(
        by_predicate=(pl.col("action") == "attack") & (pl.col("measure") == "share"),
        named=True,
    )
    # Each animal is a unit; the intruders never attack.
    drug, saline = (2 + 6 + 10) / 20 / 6, (2 + 4 + 6) / 20 / 6
    assert (row["first"], row["second"]) == ("drug", "saline")
    assert (row["mean_first"], row["mean_second"]) == pytest.approx((drug, saline))
    assert row["p_holm"] >= row["p"] > 0.05
    told = capsys.readouterr().out
    assert "drug (n = 6), saline (n = 6)" in told
    assert "--unit recording" in told


def test_a_second_summary_leaves_no_table_or_figure_of_the_first(data, tmp_path):
    predicted = write_predicted(tmp_path / "predicted")
    both = ["summary", predicted, "--data", data, "--out", tmp_path / "out"]
    assert summarize(*both[1:], "--by", "condition", "--bins", "10s") == 0
    (tmp_path / "out" / "figures").mkdir()
    (tmp_path / "out" / "figures" / "ethogram_predicted.svg").write_text("<svg/>")
    names = {path.stem for path in (tmp_path / "out").glob("*.csv")}
    assert names <= set(TABLES)
    assert {"comparisons", "animals_bins_wide", "agreement"} <= names

    assert main(["summary", str(data), "--out", str(tmp_path / "out")]) == 0

    book = CalamineWorkbook.from_path(str(tmp_path / "out" / "summary.xlsx"))
    for ending in ("csv", "parquet"):
        left = {path.stem for path in (tmp_path / "out").glob(f"*.{ending}")}
        assert left == set(book.sheet_names)
    assert not (tmp_path / "out" / "comparisons.csv").exists()
    drawn = {path.stem for path in (tmp_path / "out" / "figures").iterdir()}
    assert "ethogram" in drawn
    assert drawn <= {"ethogram", "raster", "time_course", "durations", "transitions"}


def test_facts_come_from_a_table_of_the_lab_s_own(data, tmp_path):
    facts = tmp_path / "facts.csv"
    lines = ["video,animal,dose"]
    lines += [f"v{v},M{v},{'high' if v > 3 else 'low'}" for v in range(1, 7)]
    facts.write_text("\n".join(lines))

    code = summarize(
        data, "--out", tmp_path / "out", "--metadata", facts, "--by", "dose"
    )

    assert code == 0
    groups = table(tmp_path / "out", "groups")
    of_share = groups.filter(
        (pl.col("measure") == "share") & (pl.col("action") == "attack")
    )
    assert dict(of_share.select("group", "n").iter_rows()) == {"high": 3, "low": 3}


def test_predictions_stand_beside_labels_with_their_uncertainty(data, tmp_path, capsys):
    """Every predicted attack is 14 frames too long."""
    predicted = write_predicted(tmp_path / "predicted")

    assert summarize(predicted, "--data", data, "--out", tmp_path / "out") == 0

    numbers = np.array([2, 2, 6, 4, 10, 6])
    bias_s = np.concatenate([numbers, np.zeros(6)]).mean() * 14 / 30
    row = table(tmp_path / "out", "uncertainty").row(
        by_predicate=(pl.col("measure") == "total_s"), named=True
    )
    assert (row["n"], row["bias"]) == (12, pytest.approx(bias_s, rel=1e-6))
    actions = table(tmp_path / "out", "actions")
    of_model = actions.row(by_predicate=(pl.col("source") == "predicted"), named=True)
    assert of_model["model_bias"] == pytest.approx(bias_s / 20, rel=1e-6)
    agreement = table(tmp_path / "out", "agreement").row(0, named=True)
    assert agreement["onset_late_s"] == 0
    assert agreement["offset_late_s"] == pytest.approx(14 / 30)
    assert agreement["banos_recall"] == pytest.approx(1)
    assert agreement["f1_tolerant"] > agreement["f1"]
    told = capsys.readouterr().out
    assert "against labels: bias" in told
    assert "not trained on these" in told


def test_a_prediction_in_the_other_direction_counts_where_labels_have_none(tmp_path):
    """Labels name the resident first; the model's bouts are of the intruder to it."""
    data = write_data(tmp_path / "data", videos=3)
    metadata = (data / "train.csv").read_text()
    (data / "train.csv").write_text(metadata.replace('""mouse2,mouse1,attack"", ', ""))
    predicted = write_predicted(tmp_path / "predicted", videos=3, late=0)
    bouts = (predicted / "bouts.csv").read_text().splitlines()
    provenance = json.loads((predicted / "provenance.json").read_text())
    turned = [re.sub(r"^(Lab,v\d),(M\d),('=N\d)", r"\1,\3,\2", line) for line in bouts]
    (predicted / "bouts.csv").write_text("\n".join(turned) + "\n")
    del provenance["bouts_hash"]
    (predicted / "provenance.json").write_text(json.dumps(provenance))

    for words, f1 in ((), 0), (("--undirected", "attack"), 1):
        assert summarize(predicted, "--data", data, "--out", tmp_path, *words) == 0
        row = table(tmp_path, "agreement").row(
            by_predicate=pl.col("one") == "annotated", named=True
        )
        assert row["f1"] == f1


def test_predictions_alone_need_nothing_else(tmp_path):
    predicted = write_predicted(tmp_path / "predicted")

    assert summarize(predicted, "--out", tmp_path / "out") == 0

    rows = table(tmp_path / "out", "pairs").filter(pl.col("recording") == "v4")
    assert rows.select("agent", "target", "bouts").rows() == [
        ("M4", "=N4", 4),
        ("=N4", "M4", 0),
    ]


def test_predictions_are_watched_where_animals_were_tracked(tmp_path):
    predicted = write_predicted(tmp_path / "predicted", videos=1, tracked=(0, 300))

    assert summarize(predicted, "--out", tmp_path / "out") == 0

    assert set(table(tmp_path / "out", "pairs")["watched_s"]) == {10}


def test_two_annotators_of_one_track_are_compared(tmp_path):
    folder = write_data(tmp_path / "data", videos=1)
    second = folder / "train_tracking" / "Lab" / "again.parquet"
    second.write_bytes((folder / "train_tracking/Lab/v1.parquet").read_bytes())
    write_labels(folder, [(1, 2, "attack", 0, 30)], video="again")
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    with (folder / "train.csv").open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, list(row)).writerow(row | {"video_id": "again"})

    assert summarize(folder, "--out", tmp_path / "out") == 0

    row = table(tmp_path / "out", "agreement").row(
        by_predicate=pl.col("action") == "attack", named=True
    )
    assert {row["one"], row["other"]} == {"Lab/v1", "Lab/again"}
    assert (row["bouts"], row["other_bouts"]) == (2, 1)
    assert 0.5 < row["kappa"] < 1


@pytest.mark.parametrize("bins", ["often", "0s", "-5"])
def test_a_duration_that_is_none_is_refused(data, tmp_path, capsys, bins):
    assert summarize(data, "--out", tmp_path, "--bins", bins) == 2
    assert "60s or 5min" in capsys.readouterr().err


def test_a_folder_without_labels_is_refused(tmp_path, capsys):
    folder = write_data(tmp_path / "data", videos=1)
    for path in sorted((folder / "train_annotation").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "train_annotation").rmdir()

    assert summarize(folder, "--out", tmp_path / "out") == 2
    assert "no labels here" in capsys.readouterr().err


def test_rat_dyad_is_measured_from_its_human_labels(tmp_path, capsys):
    """Eight of its videos, to be quick."""
    if not (DATA / "rat_dyad").is_dir():
        pytest.skip("rat_dyad is not here; set MABE_DATA")
    some = tmp_path / "some"
    some.mkdir()
    head = (DATA / "rat_dyad" / "train.csv").read_text().splitlines()[:9]
    (some / "train.csv").write_text("\n".join(head))
    for kind in ("train_tracking", "train_annotation"):
        (some / kind).symlink_to((DATA / "rat_dyad" / kind).resolve())
    actions = "aggression,social,nonsocial,base"

    assert summarize(some, "--out", tmp_path / "out", "--undirected", actions) == 0

    recordings = table(tmp_path / "out", "recordings")
    assert recordings["recording"].n_unique() == 8
    # The four actions exclude each other and leave no frame out.
    shares = recordings.group_by("recording").agg(pl.sum("share"))["share"]
    np.testing.assert_allclose(shares, 1, atol=0.02)
    assert "in one direction" not in capsys.readouterr().out


def test_a_table_too_large_for_a_sheet_is_left_out_of_the_workbook(
    data, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("mabe.measures.tables.MOST_SHEET_ROWS", 100)

    assert summarize(data, "--out", tmp_path) == 0

    assert "too large for a sheet, in .csv and .parquet only: ['long']" in (
        capsys.readouterr().out
    )
    book = CalamineWorkbook.from_path(str(tmp_path / "summary.xlsx"))
    assert "long" not in book.sheet_names
    assert len(table(tmp_path, "long")) > 100


def test_a_predicted_class_without_a_label_of_its_name_is_named(tmp_path, capsys):
    folder = write_data(tmp_path / "data", videos=1)
    predicted = write_predicted(tmp_path / "predicted", videos=1)
    place = probabilities_path(predicted / PROBABILITIES, "Lab", "v1")
    columns = {
        name: np.zeros(600, np.float32) for name in (*ENTRIES, "mouse1,self,dig")
    }
    write_probabilities(place, columns, frames=600)

    assert summarize(predicted, "--data", folder, "--out", tmp_path / "out") == 0

    assert "nothing to compare: dig." in capsys.readouterr().out


def test_a_run_s_out_of_fold_predictions_give_the_uncertainty(
    data, tmp_path, capsys, monkeypatch
):
    """The predictions given are perfect, those out of fold missed every attack."""
    predicted = write_predicted(tmp_path / "predicted", late=0)
    labels = [(at * 30, at * 30 + 15, "attack", 1, 2) for at in range(4)]
    held_out = [
        compare(
            observed(labels, video=str(video)),
            observed(
                [], video=str(video), source=PREDICTED, watched=[(1, 2, "attack")]
            ),
        )
        for video in range(5)
    ]
    monkeypatch.setattr(
        "mabe.measures.gather.read_out_of_fold_run", lambda _: (None, held_out)
    )
    run = tmp_path / "run"

    code = summarize(
        predicted, "--data", data, "--held-out", run, "--out", tmp_path / "out"
    )

    assert code == 0
    row = table(tmp_path / "out", "uncertainty").row(
        by_predicate=pl.col("measure") == "total_s", named=True
    )
    assert (row["n"], row["bias"]) == (5, pytest.approx(-6))
    told = capsys.readouterr().out
    assert "from the out-of-fold predictions of" in told
    assert "from these predictions" not in told
