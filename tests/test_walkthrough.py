"""The walk-through of docs/formats.md, run as it is written, on the real recording."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
FORMATS = DATA / "formats"
FILM = "e3v813a-20210610T122332-122642"

pytestmark = [
    pytest.mark.skipif(not FORMATS.is_dir(), reason=f"no real files at {FORMATS}"),
    pytest.mark.skipif(not shutil.which("bash"), reason="no bash to run the commands"),
]


def walk_through():
    """Return the settings and the commands of the documented walk-through."""
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    section = text.split("## Walk-through")[1]
    [settings] = re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)
    return settings, re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)


def run(commands, folder):
    place = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{place}{os.pathsep}{os.environ['PATH']}",
        "MABE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def labels_of(folder):
    [path] = folder.glob("train_annotation/*/*.parquet")
    return pl.read_parquet(path).rows()


def test_from_tracks_and_scored_events_to_a_model_to_boris_and_back(tmp_path):
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for path in FORMATS.glob(f"*/{FILM}*"):
        shutil.copyfile(path, recordings / path.name)
    settings, (there, back) = walk_through()
    (tmp_path / "walkthrough.yaml").write_text(settings, encoding="utf-8")

    told = run(there, tmp_path)

    assert "2 animals: adult, juvenile" in told
    assert "interact → interact to other" in told
    labels = [
        pl.read_parquet(path)
        for path in sorted((tmp_path / "data").glob("train_annotation/*/*.parquet"))
    ]
    # Ten events, 22.096 s in all; the borders of the pieces lose none of them.
    frames = sum(int((t["stop_frame"] - t["start_frame"]).sum()) for t in labels)
    assert frames == pytest.approx(30 * 22.096, abs=5)
    bouts = pl.read_csv(tmp_path / "out" / "bouts.csv")
    assert 1 <= len(bouts) < 200
    assert set(bouts["agent"]) == {"adult"}  # the juvenile was not watched

    told = run(back, tmp_path)

    predicted = [
        (1, 2, row["action"], row["start_frame"], row["stop_frame"])
        for row in bouts.iter_rows(named=True)
    ]
    assert labels_of(tmp_path / "data2") == predicted
