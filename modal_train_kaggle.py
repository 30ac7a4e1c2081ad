"""Train V2 on a GPU rented from Modal; docs/modal.md tells all of it.

`modal run --detach modal_train_kaggle.py [--max-sequences N] [--gpu H100] [--name RUN]`
starts a run or goes on with the one of that name; `modal app logs mabe-kaggle-training`
shows it; `modal run fetch_run_from_modal.py --name RUN` brings it back.

On Modal's machines this file is imported without `mabe`, which comes from the volume:
so `mabe` is imported within functions only.
"""

import sys
from pathlib import Path
from typing import Any

import modal

ROOT = Path(__file__).parent
MOUNT = "/mabe-data"
DISK = "/tmp/mabe-runs"
CORES = 4
MEMORY_GIB = 16
VOLUME = modal.Volume.from_name("mabe-data", create_if_missing=True)

# PyPI's torch for Linux is built for CUDA 12.8 or newer. LightGBM needs libgomp1.
IMAGE = (
    modal.Image.debian_slim(python_version="3.11")
    .apt_install("libgomp1")
    .pip_install_from_pyproject(str(ROOT / "pyproject.toml"))
    .env({"PYTHONDONTWRITEBYTECODE": "1"})  # the volume keeps the code as it came
)
app = modal.App("mabe-kaggle-training")


@app.function(
    image=IMAGE,
    gpu="A10",
    cpu=CORES,
    memory=MEMORY_GIB * 1024,
    volumes={MOUNT: VOLUME},
    timeout=24 * 3600,  # the longest there is; longer runs go on by being tried again
    retries=modal.Retries(max_retries=3, backoff_coefficient=1.0, initial_delay=5.0),
    single_use_containers=True,
)
def train(name: str, settings: dict[str, Any], gpu: str, code: str) -> dict[str, Any]:
    """Train the run of this name as far as it goes; on Modal's machine."""
    VOLUME.reload()
    sys.path.insert(0, f"{MOUNT}/code/{code}/src")
    from mabe.training.modal.costs import Machine
    from mabe.training.modal.remote_run import MountedVolume, train_rented

    return train_rented(
        settings,
        name=name,
        machine=Machine(gpu=gpu, cores=CORES, memory_gib=MEMORY_GIB),
        volume=MountedVolume(
            root=Path(MOUNT),
            disk=Path(DISK),
            commit=VOLUME.commit,
            reload=VOLUME.reload,
            call=modal.current_function_call_id() or "here",
            is_running=is_running,
        ),
    )


def is_running(call: str) -> bool:
    """Tell whether a call to Modal has not ended yet."""
    try:
        modal.FunctionCall.from_id(call).get(timeout=0)
    except TimeoutError:  # Python's own: no answer yet. Modal's own kinds are answers
        return True
    except Exception:  # how it ended is its own affair
        return False
    return False


@app.local_entrypoint()
def main(
    config: str | None = None,
    data_dir: str | None = None,
    max_sequences: int | None = None,
    gpu: str = "A10",
    name: str | None = None,
) -> None:
    """Train a run on a rented GPU, or go on with the one of that name.

    --config: settings, by default V2's. --data-dir: a folder that was uploaded.
    --max-sequences: at most this many recordings, for a quick test.
    """
    from mabe.training.modal.commands import (
        one_line_errors,
        plan_job,
        report,
        send_code,
    )
    from mabe.training.modal.costs import Machine, find_gpu

    with one_line_errors():
        job = plan_job(
            root=ROOT,
            config=config,
            data_dir=data_dir,
            max_sequences=max_sequences,
            name=name,
            machine=Machine(gpu=find_gpu(gpu), cores=CORES, memory_gib=MEMORY_GIB),
        )
        print(job.price)
        code = send_code(VOLUME, job, root=ROOT)
        # Only a call that does not wait is tried again when nobody is here any more.
        call = train.with_options(gpu=job.machine.gpu).spawn(
            job.name, job.settings, job.machine.gpu, code
        )
        print(f"✓ Started {job.name}; follow it: modal app logs {app.app_id} --follow")
        report(job, call.get())
