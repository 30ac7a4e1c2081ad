"""Bring a run back from Modal's volume `mabe-data`.

`modal run fetch_run_from_modal.py --name RUN [--out checkpoints]`; docs/modal.md.
"""

from pathlib import Path

import modal

VOLUME = modal.Volume.from_name("mabe-data", create_if_missing=True)
app = modal.App("mabe-kaggle-fetch")


@app.local_entrypoint()
def main(name: str, out: str = "checkpoints") -> None:
    """Copy the run of this name into OUT/NAME; another run there is set aside."""
    from mabe.training.modal.commands import one_line_errors
    from mabe.training.modal.transfer import fetch_run

    with one_line_errors():
        print(f"✓ {fetch_run(VOLUME, name, Path(out))}")
