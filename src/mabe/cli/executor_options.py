"""Options that decide where the tasks of a command are done.

`--workers` is for processes of this machine, `--ray` for a Ray cluster. An address may
follow `--ray` or not. `complete_words` adds the missing one before the words are
parsed, because a word after such an option could also be the command's next argument.
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
        help="Use a Ray cluster: auto, HOST:PORT or ray://HOST:PORT. Without an "
        "address a local one is started. See docs/scale.md.",
    ),
]
Cpus = Annotated[
    float,
    typer.Option("--cpus-per-task", min=0.1, help="With --ray: cores for each task."),
]
Gpus = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-task",
        min=0,
        help="With --ray: share of a GPU for each task that uses one; 0.25 by default "
        "where the cluster has GPUs.",
    ),
]


def choose_executor(
    workers: int | None, ray: str | None, cpus: float = 1.0, gpus: float | None = None
) -> Executor | None:
    """Return the executor that the options name; None where there are none."""
    if ray is None:
        if cpus != 1.0 or gpus is not None:
            raise ConfigError("--cpus-per-task and --gpus-per-task need --ray")
        return Processes(workers) if workers else None
    if workers:
        raise ConfigError(
            "--workers and --ray: give one; Ray runs as many tasks at once as the "
            "cluster has room for"
        )
    from mabe.runtime.ray_executor import RayCluster

    return RayCluster(address=ray, cpus_per_task=cpus, gpus_per_task=gpus)


def complete_words(words: Sequence[str]) -> list[str]:
    """Return a command's words with an address after every `--ray`."""
    from mabe.runtime.ray_executor import LOCAL, is_address

    completed = []
    for place, word in enumerate(words):
        completed.append(word)
        following = words[place + 1] if place + 1 < len(words) else ""
        if word == "--ray" and not is_address(following):
            completed.append(LOCAL)
    return completed
