"""The code of docs/python.md and of the quick-start notebook runs as it stands."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from format_files import write_dlc_csv

from mabe import Poses
from mabe.cli.main import main
from mabe.data.simulate import simulate

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "python.md"
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
SOLUTION = {
    "lab_id": ["A"],
    "video_id": ["1"],
    "agent_id": ["mouse1"],
    "target_id": ["mouse2"],
    "action": ["chase"],
    "start_frame": [0],
    "stop_frame": [10],
    "behaviors_labeled": ['["mouse1,mouse2,chase"]'],
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with what a reader of the pages has."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs_from_top_to_bottom(here):
    simulate(here / "data/mine", videos=8, minutes=0.4, seed=3, workers=1)
    simulate(here / "data/test", videos=4, minutes=0.4, seed=4, workers=1)
    # The page reads an HDF5 file; what a file is, its content decides.
    write_dlc_csv(here / "day1DLC_resnet50.h5")
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    assert len(blocks) == 7
    names = {
        "solution": pl.DataFrame(SOLUTION),
        "submission": pl.DataFrame(SOLUTION).drop("lab_id", "behaviors_labeled"),
    }
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)

    assert (here / "out/day1/bouts.csv").is_file()
    assert (here / "out/boris/predictions.boris").is_file()
    assert 0 <= names["run"].score <= 1
    assert names["found"].probabilities.height == 600
    assert np.isfinite(names["result"].macro_f1)
    assert (here / "measures/summary.xlsx").is_file()
    assert names["measures"].tables["actions"].height > 0


def test_the_notebook_runs_from_top_to_bottom(here):
    cells = [
        "".join(cell["source"])
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    names = {}
    for code in cells:
        if code.startswith("!mabe "):
            assert main(shlex.split(code)[1:]) == 0
        else:
            exec(compile(code, str(NOTEBOOK), "exec"), names)

    assert "<svg" in names["found"]._repr_html_()
    assert (here / "out/quick/bouts.csv").is_file()


def test_poses_show_themselves_in_a_notebook():
    xy = np.zeros((50, 2, 1, 2))
    xy[:25, 1] = np.nan
    shown = Poses(xy, keypoints=["nose"], animals=["<b>", "Мышь"], fps=25)._repr_html_()
    assert "50 (25 per second)" in shown
    assert "&lt;b&gt;, Мышь" in shown
    assert "25.0 %" in shown
