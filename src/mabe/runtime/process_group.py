"""The processes that train one run together, as torchrun or SLURM started them.

Each has a *rank*. The first (rank 0) prepares data, scores, writes and tells; the
others compute. A process by itself is a team of one. The windows of a step are dealt
out in equal parts, in the order of ranks: what a step sees depends on how many windows
all have together, not on how many processes share them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mabe.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Team:
    """The place of a process among those that train with it."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Place among those on this machine."""
    local_size: int = 1
    launcher: Literal["torchrun", "slurm"] | None = None
    """What started the processes; None for one by itself."""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Team":
        """Return the place that the launcher gave this process.

        Raises `ConfigError` where machines have unequal numbers of processes.
        """
        if "TORCHELASTIC_RUN_ID" in environment:
            names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
            rank, size, local_rank, local_size = (int(environment[n]) for n in names)
            team = cls(rank, size, local_rank, local_size, "torchrun")
        elif int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
            # A batch script has SLURM_NTASKS too; a step is what `srun` starts.
            team = cls(
                int(environment["SLURM_PROCID"]),
                int(environment["SLURM_STEP_NUM_TASKS"]),
                int(environment["SLURM_LOCALID"]),
                _tasks_per_node(environment),
                "slurm",
            )
        else:
            return cls()
        if team.size % team.local_size:
            raise ConfigError(
                f"{team.size} processes, {team.local_size} of them on this machine: "
                "every machine needs the same number; start as many on each"
            )
        return team if team.size > 1 else cls()

    @property
    def is_first(self) -> bool:
        """Tell whether this process speaks and writes for all."""
        return self.rank == 0

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return self.size // self.local_size

    @property
    def label(self) -> str:
        """How an error of this process is signed; not at all by the first."""
        return "" if self.is_first else f" [process {self.rank + 1} of {self.size}]"

    def own(self, windows: int) -> slice:
        """Return which of a step's windows are this process's."""
        each = windows // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def refuse(self, what: str) -> None:
        """Raise `ConfigError` where there are several processes for what needs one."""
        if self.size > 1:
            raise ConfigError(
                f"{what} runs in one process, but {self.launcher} has started "
                f"{self.size}; start it without (several are for `mabe train` of one "
                "network)"
            )


def _tasks_per_node(environment: Mapping[str, str]) -> int:
    tasks = environment.get("SLURM_NTASKS_PER_NODE", "")
    if not tasks.isdecimal():
        raise ConfigError(
            "SLURM: how many processes are on each machine is not said; ask for "
            "--nodes and --ntasks-per-node rather than for --ntasks"
        )
    return int(tasks)
