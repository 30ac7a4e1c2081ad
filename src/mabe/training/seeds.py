"""The seeds of a run: each random draw depends on the run's seed and the step alone.

So a resumed run draws what it would have drawn without the stop.
"""

FIT_STREAM = 1 << 40
"""Makes the windows that scale features independent of those of any step."""

_SEED_STRIDE = 1_000_003
"""Makes the steps of neighbouring seeds independent."""

_RANK_STRIDE = 1 << 48
"""Makes the dropout of the processes of a run independent."""


def initial_seed(seed: int) -> int:
    """Return the seed of the initial weights."""
    return seed * _SEED_STRIDE - 1


def step_seed(seed: int, step: int, *, rank: int = 0) -> int:
    """Return the seed of a step, in one of several processes."""
    return seed * _SEED_STRIDE + step + rank * _RANK_STRIDE
