"""Does a body need a rodent's names? The same recordings with their points renamed.

    python benchmarks/renamed.py DATA WORK [--config CONFIG] [--given ROLES.yaml]

`DATA` is in the Kaggle layout. Its keypoints are renamed `a`, `b`, … in copies of the
tracks, whose roles are then guessed from how they move, or are those of `--given`
(``skeleton:`` as in project.yaml, with the new names). Trees of the scene task on
social features are trained on all folds but the first, with the rodents' names and with
the new ones; printed are the scores on the first fold, and the roles.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from string import ascii_lowercase

import polars as pl
import yaml

COMMAND = "import sys; from mabe.cli.main import main; sys.exit(main())"
ROLES = ("snout", "neck", "body", "rump", "tail", "tip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--config", type=Path, help="Classes of the data.")
    parser.add_argument("--given", type=Path, help="Roles, with the new names.")
    given = parser.parse_args()
    copy = given.work / "data"
    names = rename(given.data, copy)
    if given.given:
        shutil.copyfile(given.given, copy / "project.yaml")
    print("renamed:", ", ".join(f"{old} {new}" for old, new in names.items()))
    print("| names | macro F1 | " + " | ".join(ROLES) + " |")
    print("|---" * (2 + len(ROLES)) + "|")
    for name, data in (("as they are", given.data), ("renamed", copy)):
        print(row(name, data, given), flush=True)


def rename(data: Path, copy: Path) -> dict[str, str]:
    """Copy a data set with other names of its keypoints, and return these."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    tracks = sorted(data.glob("train_tracking/*/*.parquet"))
    found = dict.fromkeys(
        name
        for path in tracks
        for name in pl.scan_parquet(path)
        .select(pl.col("bodypart").cast(pl.String).unique(maintain_order=True))
        .collect()["bodypart"]
    )
    names = dict(zip(sorted(found), ascii_lowercase, strict=False))
    for path in tracks:
        target = copy / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        pl.read_parquet(path).with_columns(
            pl.col("bodypart").cast(pl.String).replace(names)
        ).write_parquet(target)
    shutil.copyfile(data / "train.csv", copy / "train.csv")
    (copy / "train_annotation").symlink_to((data / "train_annotation").resolve())
    return names


def row(name: str, data: Path, given: argparse.Namespace) -> str:
    """Return the row of one data set, after training on it."""
    run = given.work / name.replace(" ", "_")
    shutil.rmtree(run, ignore_errors=True)
    settings = ["model_type=trees", "feature_set=social", "fps=15", "folds=5", "fold=0"]
    subprocess.run(
        [
            *(sys.executable, "-c", COMMAND, "train", str(data), "--out", str(run)),
            *(["--config", str(given.config)] if given.config else []),
            *(word for each in settings for word in ("--set", each)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    score = json.loads((run / "history.json").read_text("utf-8"))[-1]["f1_macro"]
    skeleton = yaml.safe_load((run / "config.yaml").read_text("utf-8"))["skeleton"]
    roles = [", ".join(skeleton[role]) if skeleton else "rodent" for role in ROLES]
    return f"| {name} | {score:.4f} | " + " | ".join(roles) + " |"


if __name__ == "__main__":
    main()
