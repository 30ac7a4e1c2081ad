"""The main job on real rats: `rat_dyad`, of which nothing is copied here."""

import os
from pathlib import Path

import pytest

from mabe.config import load_config
from mabe.inference.evaluate import Unseen, evaluate
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data")) / "rat_dyad"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real data at {DATA}; set MABE_DATA"
)


def test_a_small_network_learns_from_six_real_videos_what_goes_on_in_two_others(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    changes = {
        "data_dir": DATA,
        "checkpoint_dir": tmp_path / "run",
        "max_sequences": 8,
        "folds": 4,
        "conv_channels": [16, 32, 32],
        "lstm_hidden": 32,
        "lstm_layers": 1,
        "sequence_length": 576,
        "epochs": 8,
        "learning_rate": 5e-3,
        "ema_decay": 0.9,
        "num_workers": 1,
        "device": "cpu",
    }
    train(load_config(ROOT / "configs" / "rat_dyad_v2.yaml", changes))
    checkpoint = load_checkpoint(tmp_path / "run" / "last.safetensors")

    held_out = checkpoint.members[0].provenance.validation
    assert held_out["f1_macro"] > 0.45  # always social: 0.2
    scores = evaluate(Unseen(Predictor(checkpoint), DATA))
    assert len(scores.per_video) == 43 - 6
    assert any("6 left out" in note for note in scores.notes)
