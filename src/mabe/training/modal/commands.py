"""What the scripts for Modal do on the user's machine: check, upload, print."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.config import dump_config, load_config
from mabe.errors import ConfigError, DataError, MabeError, RunError
from mabe.runtime.console import count, format_score
from mabe.training.modal.costs import Machine, describe_price, describe_spent
from mabe.training.modal.transfer import Upload, read_manifest, upload_code, upload_data
from mabe.training.modal.volume import VOLUME_NAME, Volume, check_name, data_name

DEFAULT_CONFIG = Path("configs") / "config_5090.yaml"


_NETWORKS = ("conv_bilstm", "conv_gru", "tcn")


_SHOWN = 5
"""How many files a message lists."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run to start: its name, its settings as plain values, and what it runs on."""

    name: str
    settings: dict[str, Any]
    """As in a config; `data_dir` is the data set's name in the volume."""
    machine: Machine
    price: str
    """What it may cost, in a sentence."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Show what the user can mend as one line, and exit with 2, as `mabe` does."""
    # As in `cli.main`: Windows consoles may not have the ✓.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        yield
    except MabeError as error:
        print(f"mabe: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def upload_everything(
    volume: Volume, *, root: Path, data_dir: str | None, config: str | None
) -> None:
    """Upload what changed of the code and of the data that a config names."""
    folder = Path(data_dir) if data_dir else load_config(_path(root, config)).data_dir
    upload = upload_data(volume, folder)
    _print_upload(str(folder), upload)
    _, upload = upload_code(volume, root)
    _print_upload("code", upload)


def plan_job(
    *,
    root: Path,
    config: str | None,
    data_dir: str | None,
    max_sequences: int | None,
    name: str | None,
    machine: Machine,
) -> Job:
    """Return the run that the options ask for.

    Raises `ConfigError` for settings that are wrong or that no GPU is needed for.
    """
    changes: dict[str, Any] = {}
    if max_sequences is not None:
        changes["max_sequences"] = max_sequences
    if data_dir:
        changes["data_dir"] = Path(data_dir)
    loaded = load_config(_path(root, config), changes)
    if loaded.model_type not in _NETWORKS:
        raise ConfigError(
            f"model_type: {loaded.model_type} trains on cores, and a rented GPU would "
            f"idle; `mabe train` does it here, or choose {', '.join(_NETWORKS)}"
        )
    usual = loaded.checkpoint_dir.name + ("-quick" if max_sequences else "")
    return Job(
        name=check_name(name or usual, option="--name"),
        settings=dump_config(loaded) | {"data_dir": data_name(loaded.data_dir)},
        machine=machine,
        price=describe_price(loaded, machine),
    )


def send_code(volume: Volume, job: Job, *, root: Path) -> str:
    """Make sure that the volume has the job's data and this code; return its digest.

    Raises `DataError` where the data were not uploaded.
    """
    name = job.settings["data_dir"]
    if not read_manifest(volume, name):
        raise DataError(
            f"{name}: not in the volume {VOLUME_NAME}; first "
            "`modal run upload_code_to_modal.py --data-dir DIR`"
        )
    digest, upload = upload_code(volume, root)
    _print_upload("code", upload)
    return digest


def report(job: Job, outcome: dict[str, Any]) -> None:
    """Tell what came of a job; raises `RunError` for what the user can mend."""
    if error := outcome.get("error"):
        raise RunError(error)
    best = outcome["best_f1"]
    print(
        f"✓ {job.name}: {count(outcome['epochs'], 'epoch')}, best macro F1 on held-out "
        f"recordings {format_score(best)}; "
        f"{describe_spent(outcome['seconds'], outcome['usd'])} in all\n"
        f"  Bring it back: modal run fetch_run_from_modal.py --name {job.name}"
    )


def _path(root: Path, config: str | None) -> Path:
    return Path(config) if config else root / DEFAULT_CONFIG


def _print_upload(what: str, upload: Upload) -> None:
    """Print what was uploaded, what was unchanged, and what is in the volume only."""
    print(
        f"✓ {what} → {VOLUME_NAME}:/{upload.place}: {len(upload.uploaded)} uploaded "
        f"({upload.uploaded_bytes / 1e6:,.1f} MB), {upload.unchanged} unchanged"
    )
    if upload.uploaded:
        print(f"  Uploaded: {_some(upload.uploaded)}")
    if upload.only_there:
        print(
            f"  {len(upload.only_there)} in the volume alone, left there: "
            f"{_some(upload.only_there)}"
        )


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" … and {more} more" if more > 0 else "")
