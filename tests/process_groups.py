"""Two processes that train together on this machine, started as a user starts them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIME_LIMIT_S = 120
"""Long past the end of any of these runs: nobody may wait for ever."""
MAIN = "from mabe.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"


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


def launch_as_slurm(script: Path, *args: object, cache: Path) -> tuple[list[int], str]:
    """Start a script in two processes as `srun` does; return codes and all output."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    same = {
        "OMP_NUM_THREADS": "1",
        "MABE_CACHE": str(cache),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "SLURM_JOB_ID": "1",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_STEP_NUM_TASKS": "2",
    }
    tasks = [
        subprocess.Popen(
            [str(word) for word in (sys.executable, script, *args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | same | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank},
        )
        for rank in ("0", "1")
    ]
    try:
        said = [task.communicate(timeout=TIME_LIMIT_S)[0] for task in tasks]
    finally:
        for task in tasks:
            task.kill()
    return [task.returncode for task in tasks], "".join(said)


def write_config(path: Path, settings: dict) -> Path:
    """Write settings as a config (JSON is YAML)."""
    path.write_text(json.dumps(settings, default=str), encoding="utf-8")
    return path


def write_script(path: Path, mischief: str) -> Path:
    """Write a `mabe` to which something happens; `rank` is the process's number."""
    path.write_text(
        "import os, signal, sys\nimport torch\n"
        "rank = int(os.environ.get('RANK') or os.environ['SLURM_PROCID'])\n"
        f"{mischief}\n{MAIN}",
        encoding="utf-8",
    )
    return path
