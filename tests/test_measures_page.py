"""The walk from predictions to a table for a paper, as docs/measures.md has it."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from chases import write_chases
from kaggle_files import write_index, write_tracking
from python_calamine import CalamineWorkbook
from stories import FPS, PX_PER_CM

from mabe.cli.main import main

PAGE = Path(__file__).parents[1] / "docs" / "measures.md"
CAGES, BLOCKS, BLOCK_S = 8, 8, 4
CHASES = {"saline": 1, "drug": 3}
"""In how many blocks of 4 s an animal chases the other; in the rest both stand."""


def walk_through():
    """Return the two commands of the walk, and the table of animals between them."""
    section = PAGE.read_text("utf-8").split("## From predictions to a table")[1]
    section = section.split("\n## ")[0]
    [predict] = re.findall(r"`(mabe predict [^`]*)`", section)
    facts, summary = re.findall(r"```\n(.*?)```", section, flags=re.DOTALL)
    return predict, re.sub(r"^ +", "", facts, flags=re.MULTILINE), summary.strip()


def animals_of(cage):
    """Return the names of the first and the second animal, and their treatments."""
    names = (f"M{23 + 2 * cage - 1}", f"M{23 + 2 * cage}")
    treatments = ("saline", "drug") if cage % 2 else ("drug", "saline")
    return names, treatments


def write_cages(folder):
    """Write tracks of pairs in which the drugged animal chases three times as often.

    Nobody scored them.
    """
    rows = []
    for cage in range(1, CAGES + 1):
        names, treatments = animals_of(cage)
        rng = np.random.default_rng(100 + cage)
        chaser = [mouse for mouse in (0, 1) for _ in range(CHASES[treatments[mouse]])]
        chaser = rng.permutation(chaser + [None] * (BLOCKS - len(chaser)))
        points, frames = [], int(BLOCK_S * FPS)
        for mouse in (1, 2):
            for block, who in enumerate(chaser):
                moved = np.arange(frames) / FPS * 20 if who is not None else 0
                beside = 25 * (mouse - 1) if who is None else 6 * (who != mouse - 1)
                x = moved + beside + rng.normal(0, 0.1, frames)
                y = 20 + rng.normal(0, 0.1, frames)
                points += [
                    (
                        block * frames + f,
                        mouse,
                        part,
                        (x[f] + ahead) * PX_PER_CM,
                        y[f] * PX_PER_CM,
                    )
                    for part, ahead in (
                        ("nose", 2),
                        ("body_center", 0),
                        ("tail_base", -3),
                    )
                    for f in range(frames)
                ]
        write_tracking(folder, points, lab="lab", video=f"day{cage}")
        rows.append(
            {
                "lab_id": "lab",
                "video_id": f"day{cage}",
                "mouse1_id": names[0],
                "mouse2_id": names[1],
                "frames_per_second": str(FPS),
                "pix_per_cm_approx": str(PX_PER_CM),
                "behaviors_labeled": json.dumps([]),
            }
        )
    write_index(folder, *rows)


def with_all_animals(facts):
    """Return the page's table of animals, with a row for each animal here."""
    header, *shown = facts.split()
    rows = [
        f"day{cage},{name},{treatment},{'female' if cage % 4 < 2 else 'male'}"
        for cage in range(1, CAGES + 1)
        for name, treatment in zip(*animals_of(cage), strict=True)
    ]
    assert header == "video,animal,treatment,sex"
    assert set(shown) <= set(rows)
    return "\n".join([header, *rows])


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder in which the commands were run as they are written."""
    folder = tmp_path_factory.mktemp("walk")
    predict, facts, summary = walk_through()
    write_chases(folder / "labelled", videos=4, seconds=12)
    write_cages(folder / "recordings")
    (folder / "animals.csv").write_text(with_all_animals(facts))
    settings = {"task": "pair", "model_type": "trees", "feature_set": "social"}
    settings |= {"tree_rounds": 20, "tree_learning_rate": 0.3, "num_workers": 1}
    settings |= {"device": "cpu", "data_dir": str(folder / "labelled"), "seed": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MABE_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        train = "crossval --config config.yaml --checkpoint-dir runs/rats --folds 2"
        for command in (f"mabe {train}", predict, summary):
            assert main(shlex.split(command)[1:]) == 0, command
    return folder / "measures"


def test_the_summary_says_what_was_compared_and_how_far_it_can_be_trusted(walked):
    told = (walked / "summary.txt").read_text("utf-8")

    assert "by treatment: drug (n = 8), saline (n = 8); the unit is the animal" in told
    assert "1 action x 1 pair of groups" in told
    assert re.search(r"predicted +chase .*against labels: bias [+-]\d", told)
    assert re.search(r"95 % limits [+-][\d.]+ to [+-][\d.]+, ICC [01]\.\d\d", told)
    assert "uncertainty: from the out-of-fold predictions of runs/rats, 4" in told


def test_the_table_for_the_paper_has_the_known_difference(walked):
    book = CalamineWorkbook.from_path(str(walked / "summary.xlsx"))
    header, *rows = book.get_sheet_by_name("comparisons").to_python()
    [row] = [
        of_share
        for values in rows
        if (of_share := dict(zip(header, values, strict=True)))["measure"] == "share"
    ]

    assert (row["source"], row["first"], row["second"]) == (
        "predicted",
        "drug",
        "saline",
    )
    drug, saline = (CHASES[group] / BLOCKS for group in ("drug", "saline"))
    assert row["mean_first"] == pytest.approx(drug, abs=0.05)
    assert row["mean_second"] == pytest.approx(saline, abs=0.05)
    assert row["low"] < row["difference"] < row["high"]
    assert row["low"] < drug - saline + 0.05
    assert row["high"] > drug - saline - 0.05
    assert row["cliffs_delta"] == 1
    assert row["hedges_g"] > 2
    # The groups are apart, so only two divisions of 16 animals are as extreme.
    assert row["p"] == row["p_holm"] < 0.001


def test_the_other_sheets_are_what_the_page_calls_them(walked):
    groups = pl.read_csv(walked / "groups.csv").filter(pl.col("measure") == "share")
    assert (groups["low"] < groups["mean"]).all()
    assert (groups["mean"] < groups["high"]).all()
    animals = pl.read_csv(walked / "animals.csv")
    assert len(animals) == 2 * CAGES  # a row for each animal and action
    wide = pl.read_csv(walked / "animals_wide.csv")
    assert set(wide["agent"]) == {
        n for c in range(1, CAGES + 1) for n in animals_of(c)[0]
    }
    assert wide.columns.count("chase share") == 1
