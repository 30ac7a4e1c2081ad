"""Two processes that train together on this machine, started as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIME_LIMIT_S = 120
"""Long past the end of any of these runs: nobody may wait for ever."""
MAIN = "from mabe.cli import main\nsys.exit(main(sys.argv[1:]))\n"


def launch(script: Path, *args: object, cache: Path) -> subprocess.CompletedProcess:
    """Start a script in two processes of one thread each, and wait for them."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--standalone", "--nproc-per-node", "2", script),
        *args,
    ]
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT_S,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MABE_CACHE": str(cache)},
    )


def write_config(path: Path, settings: dict) -> Path:
    """Write settings as a config (JSON is YAML)."""
    path.write_text(json.dumps(settings, default=str), encoding="utf-8")
    return path


def write_script(path: Path, mischief: str) -> Path:
    """Write a `mabe` to which something happens; `rank` is the process's number."""
    path.write_text(
        "import os, signal, sys\nimport torch\nrank = int(os.environ['RANK'])\n"
        f"{mischief}\n{MAIN}",
        encoding="utf-8",
    )
    return path
