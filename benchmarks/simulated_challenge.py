"""V1 and V2 on a simulated challenge: real labels and set-ups, simulated poses.

    python benchmarks/simulated_challenge.py STORE --out OUT

STORE is the one that `full_size.py` prepares (WORK/store). Both recipes train on the
same 76 recordings of all labs (60 for training, 16 held out) for six epochs, with a
cosine schedule from 1e-3 in place of the recipes' 100 epochs; the last epoch is scored.
"""

import argparse
import json
from pathlib import Path

from mabe.config import load_config
from mabe.training.run import train

CONFIGS = Path(__file__).parent.parent / "configs"
RECIPES = {"V1": "config.yaml", "V2": "config_5090.yaml"}
CHANGES = {
    "max_sequences": 76,
    "epochs": 6,
    "learning_rate": 1e-3,
    "scheduler": "cosine",
    "save_freq": 0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = []
    for name, config in RECIPES.items():
        run_dir = given.out / name
        where = {"data_dir": given.store, "checkpoint_dir": run_dir}
        train(
            load_config(CONFIGS / config, CHANGES | where),
            resume=(run_dir / "state.pt").exists(),
        )
        history = (run_dir / "history.json").read_text(encoding="utf-8")
        rows.append((name, json.loads(history)[-1]))
    classes = list(rows[0][1]["per_class"])
    print(f"| recipe | macro F1 | {' | '.join(classes)} |")
    print("|---" * (2 + len(classes)) + "|")
    for name, record in rows:
        each = " | ".join(f"{record['per_class'][c]['f1']:.3f}" for c in classes)
        print(f"| {name} | {record['f1_macro']:.3f} | {each} |")


if __name__ == "__main__":
    main()
