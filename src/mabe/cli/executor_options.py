"""Where a command's work is done: options that several commands share.

`--workers` for processes of this machine, `--ray` for a Ray cluster. An address may
follow `--ray` or not; `settle_words` decides which before the words are parsed, because
a word behind an option that may stand alone could as well be the command's next one.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from mabe.errors import ConfigError
from mabe.runtime.executors import Executor, Processes

RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Do it on a Ray cluster: auto, HOST:PORT or ray://HOST:PORT; without an "
        "address on a Ray of its own on this machine. See docs/scale.md.",
    ),
]


Cpus = Annotated[
    float,
    typer.Option(
        "--cpus-per-task", min=0.1, help="With --ray: cores, and threads, for a task."
    ),
]


Gpus = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-task",
        min=0,
        help="With --ray: share of a GPU for a task that computes on one; 0.25 by "
        "default where the cluster has GPUs.",
    ),
]


def settle_executor(
    workers: int | None, ray: str | None, cpus: float = 1.0, gpus: float | None = None
) -> Executor | None:
    """Return what the options stand for; None where nobody said anything."""
    if ray is None:
        if cpus != 1.0 or gpus is not None:
            raise ConfigError("--cpus-per-task and --gpus-per-task are for --ray")
        return Processes(workers) if workers else None
    if workers:
        raise ConfigError(
            "--workers and --ray: give one; on Ray as many tasks run at once as there "
            "is room for"
        )
    from mabe.runtime.ray_executor import RayCluster

    return RayCluster(address=ray, cpus_per_task=cpus, gpus_per_task=gpus)


def settle_words(words: Sequence[str]) -> list[str]:
    """Return a command's words with an address behind every `--ray`."""
    from mabe.runtime.ray_executor import LOCAL, is_address

    settled = []
    for place, word in enumerate(words):
        settled.append(word)
        following = words[place + 1] if place + 1 < len(words) else ""
        if word == "--ray" and not is_address(following):
            settled.append(LOCAL)
    return settled
