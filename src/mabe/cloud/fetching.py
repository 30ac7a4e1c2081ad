"""Bringing a run back from the volume."""

from pathlib import Path

from mabe.cloud.volume import Volume, run_folder, stored_sizes
from mabe.errors import RunError
from mabe.files import write_atomically
from mabe.run_directory import is_documented, lock_run, set_aside

_RUN = "run.json"


def fetch_run(volume: Volume, name: str, into: Path) -> Path:
    """Copy a run of the volume into `into/NAME` and return that.

    Another run in that place is set aside; the same one is brought up to date. Raises
    `RunError` where the volume has no such run.
    """
    files = stored_sizes(volume, run_folder(name))
    if _RUN not in files:
        names = sorted({path.split("/")[0] for path in stored_sizes(volume, "runs")})
        raise RunError(
            f"{name}: no such run in the volume; there "
            f"{'are ' + ', '.join(names) if names else 'is none yet'}"
        )
    run_dir = into / name
    with lock_run(run_dir):
        about = b"".join(volume.read_file(f"{run_folder(name)}/{_RUN}"))
        if is_documented(run_dir) and (run_dir / _RUN).read_bytes() != about:
            set_aside(run_dir)
        # What makes a folder a run comes first, so that a stopped copy is gone on with.
        for path in sorted(files, key=lambda each: (each != _RUN, each)):
            _fetch_file(volume, f"{run_folder(name)}/{path}", run_dir / path)
    return run_dir


def _fetch_file(volume: Volume, path: str, goal: Path) -> None:
    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            for piece in volume.read_file(path):
                file.write(piece)

    write_atomically(goal, write)
