"""Models saved by earlier versions load, and predict what they predicted then."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mabe.cli.main import main
from mabe.inference.predict import Predictor, predict
from mabe.models.checkpoint import load_checkpoint

SAVED = Path(__file__).parent / "models_of_d8a304b"


DATA_CONTENT = ["20674a1249f5adaf8f6f", "dc9c4e153faa612ce697"]
"""What a run notes of the recordings in `scenes` and their labels."""


MODELS = sorted(path.stem for path in SAVED.glob("*.safetensors"))


@pytest.fixture(autouse=True)
def _32_bits(monkeypatch):
    """The expected probabilities were computed in 32 bits, also where a CPU has AMX."""
    monkeypatch.setattr("mabe.models.model.has_quick_bf16", lambda _: False)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_an_earlier_version_predicts_the_same(name, tmp_path):
    data = SAVED / ("pairs" if name.startswith("pair") else "scenes")

    predict(Predictor(load_checkpoint(SAVED / f"{name}.safetensors")), data, tmp_path)

    expected = SAVED / "expected" / name
    paths = sorted(expected.glob("probabilities/*/*.parquet"))
    assert len(paths) == 2
    for path in paths:
        now = pl.read_parquet(tmp_path / path.relative_to(expected))
        then = pl.read_parquet(path)
        assert now.columns == then.columns
        np.testing.assert_allclose(now.to_numpy(), then.to_numpy(), rtol=0, atol=1e-6)
    now, then = (_read_bouts(folder) for folder in (tmp_path, expected))
    assert now.drop("probability").equals(then.drop("probability"))
    # They are rounded to four digits.
    np.testing.assert_allclose(now["probability"], then["probability"], atol=1.1e-4)


def _read_bouts(folder):
    types = {"video": pl.String, "start_frame": pl.Int64, "stop_frame": pl.Int64}
    types |= {"start_s": pl.Float64, "stop_s": pl.Float64, "probability": pl.Float64}
    return pl.read_csv(folder / "bouts.csv", schema_overrides=types)


def test_a_run_of_an_earlier_version_is_resumed(tmp_path, capsys):
    run = copy_run(tmp_path, content=DATA_CONTENT)

    assert resume(run, tmp_path) == 0

    assert "Continuing from step 12, in epoch 3" in capsys.readouterr().out
    history = json.loads((run / "history.json").read_text())
    assert [epoch["step"] for epoch in history] == [6, 12, 18]


def test_a_run_of_other_data_is_refused_in_one_line(tmp_path, capsys):
    run = copy_run(tmp_path)

    assert resume(run, tmp_path) == 2

    *_, message = capsys.readouterr().err.strip().splitlines()
    assert message.startswith(f"mabe: {run}: cannot be resumed, the recordings or")


def copy_run(tmp_path, **facts):
    """Return a copy of the run of an earlier version, with some facts changed."""
    run = tmp_path / "run"
    shutil.copytree(SAVED / "run", run)
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    return run


def resume(run, tmp_path):
    settings = ["epochs=3", f"store_dir={tmp_path / 'store'}", "device=cpu"]
    changes = [word for setting in settings for word in ("--set", setting)]
    data = ["--data-dir", str(SAVED / "scenes")]
    return main(["train", "--resume", "--checkpoint-dir", str(run), *data, *changes])
