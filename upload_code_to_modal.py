"""Bring code and data into Modal's volume `mabe-data`: what changed, nothing else.

`modal run upload_code_to_modal.py [--data-dir DIR] [--config FILE]`; docs/modal.md.
"""

from pathlib import Path

import modal

ROOT = Path(__file__).parent
VOLUME = modal.Volume.from_name("mabe-data", create_if_missing=True)
app = modal.App("mabe-kaggle-upload")


@app.local_entrypoint()
def main(data_dir: str | None = None, config: str | None = None) -> None:
    """Upload the data of --data-dir (else of --config, else of V2) and the code."""
    from mabe.training.modal.commands import one_line_errors, upload_everything

    with one_line_errors():
        upload_everything(VOLUME, root=ROOT, data_dir=data_dir, config=config)
