"""The processes that train one run together, as torchrun or SLURM started them.

Each has a *rank*. The first (rank 0) prepares data, scores, writes and prints; the
others compute. A single process is a group of one. The windows of a step are divided
into equal parts, in the order of ranks: the content of a step depends on the number of
windows of all processes together, not on how many processes share them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mabe.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The position of a process among those that train with it."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Rank among the processes on this machine."""
    local_size: int = 1
    launcher: Literal["torchrun", "slurm"] | None = None
    """What started the processes; None for a single one."""

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ
    ) -> "ProcessGroup":
        """Return the position that the launcher gave this process.

        Raises `ConfigError` where machines have unequal numbers of processes.
        """
        if "TORCHELASTIC_RUN_ID" in environment:
            names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
            rank, size, local_rank, local_size = (int(environment[n]) for n in names)
            group = cls(rank, size, local_rank, local_size, "torchrun")
        elif int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
            # A batch script has SLURM_NTASKS too; a step is what `srun` starts.
            group = cls(
                int(environment["SLURM_PROCID"]),
                int(environment["SLURM_STEP_NUM_TASKS"]),
                int(environment["SLURM_LOCALID"]),
                _tasks_per_node(environment),
                "slurm",
            )
        else:
            return cls()
        if group.size % group.local_size:
            raise ConfigError(
                f"{group.size} processes, {group.local_size} of them on this machine: "
                "every machine needs the same number; start as many on each"
            )
        return group if group.size > 1 else cls()

    @property
    def is_first(self) -> bool:
        """Whether this process prints and writes for all."""
        return self.rank == 0

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return self.size // self.local_size

    @property
    def label(self) -> str:
        """The prefix of an error of this process; empty for the first."""
        return "" if self.is_first else f" [process {self.rank + 1} of {self.size}]"

    def own(self, windows: int) -> slice:
        """Return which of a step's windows belong to this process."""
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
            "SLURM: the number of processes per machine is not given; ask for "
            "--nodes and --ntasks-per-node instead of --ntasks"
        )
    return int(tasks)
