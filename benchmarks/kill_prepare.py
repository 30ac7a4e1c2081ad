"""Kill `prepare` at random moments; a rerun must give the same result.

    python benchmarks/kill_prepare.py [--data DIR] [--times 10] [--seed 0]

Each time a new `prepare` with two workers is killed (SIGKILL; TerminateProcess on
Windows), run again to its end, and every byte of the store is compared with that of an
undisturbed run. Prints a table; exits with 1 on any difference. Without `--data` rows
are simulated.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from prepare import write_data

SCRIPT = """
import sys
from pathlib import Path
from mabe.data.prepare import prepare
if __name__ == "__main__":
    prepare(
        Path(sys.argv[1]), Path(sys.argv[2]), rate_fps=33.3, workers=2, progress=False
    )
"""


def start(
    script: Path, data: Path, store: Path, *, quiet: bool = False
) -> subprocess.Popen[bytes]:
    """Start preparing in a process of its own."""
    command = [sys.executable, str(script), str(data), str(store)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL if quiet else None)


def hash_store(store: Path) -> str:
    """Return a hash of the names and bytes of every file, but for the empty lock."""
    digest = hashlib.sha256()
    for path in sorted(store.rglob("*")):
        if path.is_file() and path.name != ".lock":
            digest.update(path.relative_to(store).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def describe(store: Path) -> str:
    """Return what a killed run has left."""
    parts = len(list(store.glob("parts/*.part")))
    halves = len(list(store.rglob("*.tmp")))
    poses = "poses, " if list(store.glob("poses-*")) else ""
    index = "index, " if (store / "index.json").exists() else ""
    return f"{index}{poses}{parts} parts, {halves} half-written"


def main() -> int:
    """Kill and compare so many times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a data set in the Kaggle layout")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    differing = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        script = folder / "run_prepare.py"
        script.write_text(SCRIPT, encoding="utf-8")
        data = args.data or folder / "data"
        if args.data is None:
            write_data(data, rows=10_000_000, videos=40)
        began = time.perf_counter()
        start(script, data, folder / "whole").wait()
        whole_s = time.perf_counter() - began
        expected = hash_store(folder / "whole")
        print(f"undisturbed: {whole_s:.1f} s, store {expected}")
        print(f"{'killed after':>12}  {'left behind':<42}  result")
        for number in range(args.times):
            store = folder / f"store{number}"
            # The imports, in which nothing happens yet, take the first third.
            wait_s = rng.uniform(0.3, 1) * whole_s
            # Python's resource tracker outlives it and complains of the kill.
            process = start(script, data, store, quiet=True)
            time.sleep(wait_s)
            process.kill()
            process.wait()
            left = describe(store)
            code = start(script, data, store).wait()
            is_same = code == 0 and hash_store(store) == expected
            differing += not is_same
            print(f"{wait_s:10.2f} s  {left:<42}  {'same' if is_same else 'DIFFERENT'}")
    print(f"{args.times - differing} of {args.times} the same")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
