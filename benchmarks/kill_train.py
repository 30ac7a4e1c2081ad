"""Kill `train` at random moments; a resumed run must give the same result.

    python benchmarks/kill_train.py [--times 10] [--seed 0]

Each time a new run on simulated data is killed (SIGKILL; TerminateProcess on Windows)
and resumed to its end; its models (byte for byte) and its history (except for the
seconds) are compared with those of an undisturbed run. Prints a table; exits with 1 on
any difference.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SETTINGS = {
    "epochs": 4,
    "batch_size": 16,
    "conv_channels": [16, 32, 32],
    "lstm_hidden": 32,
    "save_every_s": 1.0,
    "device": "cpu",
    "num_workers": 1,
}


def start(data: Path, run_dir: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    """Start training in a process of its own."""
    code = "import sys; from mabe.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "train", "--data-dir", str(data)]
    command += ["--checkpoint-dir", str(run_dir)]
    for key, value in SETTINGS.items():
        command += ["--set", f"{key}={value}"]
    if resume and (run_dir / "run.json").exists():
        command.append("--resume")
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def hash_run(run_dir: Path) -> str:
    """Return a hash of what a run has learned."""
    digest = hashlib.sha256()
    for path in sorted(run_dir.glob("*.safetensors")):
        digest.update(path.name.encode() + path.read_bytes())
    history = json.loads((run_dir / "history.json").read_text(encoding="utf-8"))
    for record in history:
        del record["seconds"]
    digest.update(json.dumps(history).encode())
    return digest.hexdigest()[:16]


def describe(run_dir: Path) -> str:
    """Return what a killed run has left."""
    history = run_dir / "history.json"
    epochs = len(json.loads(history.read_text())) if history.exists() else 0
    halves = len(list(run_dir.rglob("*.tmp")))
    return f"{epochs} epochs, {halves} half-written"


def main() -> int:
    """Kill and compare so many times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    differing = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["MABE_CACHE"] = str(folder / "cache")
        data = folder / "data"
        code = "import sys; from mabe.cli.main import main; sys.exit(main())"
        simulate = [sys.executable, "-c", code, "simulate", str(data)]
        subprocess.run([*simulate, "--videos", "12", "--minutes", "1"], check=True)
        start(data, folder / "run-a", resume=False).wait()  # prepares the store too
        began = time.perf_counter()
        start(data, folder / "whole", resume=False).wait()
        whole_s = time.perf_counter() - began
        expected = hash_run(folder / "whole")
        print(f"undisturbed: {whole_s:.1f} s, run {expected}")
        print(f"{'killed after':>12}  {'left behind':<28}  result")
        for number in range(given.times):
            run_dir = folder / f"run-{number}"
            wait_s = rng.uniform(0.2, 1) * whole_s
            process = start(data, run_dir, resume=False)
            time.sleep(wait_s)
            process.kill()
            process.wait()
            left = describe(run_dir)
            code_ = start(data, run_dir, resume=True).wait()
            is_same = code_ == 0 and hash_run(run_dir) == expected
            differing += not is_same
            print(f"{wait_s:10.2f} s  {left:<28}  {'same' if is_same else 'DIFFERENT'}")
    print(f"{given.times - differing} of {given.times} the same")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
