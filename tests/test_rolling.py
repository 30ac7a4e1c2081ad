"""Windowed statistics, against numbers known by hand and against the obvious loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mabe.errors import ConfigError
from mabe.features.rolling import (
    RollingConfig,
    WindowSums,
    block_means,
    largest,
    rolling_statistics,
)

NAN = np.nan
signals = arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.just(2)),
    elements=st.one_of(st.just(NAN), st.floats(-100, 100)),
)


def column(*values):
    return np.array(values, float)[:, None]


def windows(values, before, after):
    """What is known in the window around each frame, one column at a time."""
    for frame in range(len(values)):
        window = values[max(0, frame - before) : frame + after + 1]
        yield [of_one[np.isfinite(of_one)] for of_one in window.T]


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@given(values=signals, before=st.integers(0, 9), after=st.integers(0, 9))
def test_means_and_deviations_are_what_the_obvious_loop_says(values, before, after):
    sums = WindowSums(values)
    known = list(windows(values, before, after))

    means = [[one.mean() if len(one) else NAN for one in each] for each in known]
    spreads = [[one.std() if len(one) else NAN for one in each] for each in known]

    np.testing.assert_allclose(sums.mean(before, after), means, atol=1e-9)
    np.testing.assert_allclose(sums.deviation(before, after), spreads, atol=1e-4)


@given(values=signals, half=st.integers(0, 20))
def test_the_largest_is_what_the_obvious_loop_says(values, half):
    known = windows(values, half, half)
    expected = [[one.max() if len(one) else NAN for one in each] for each in known]

    np.testing.assert_array_equal(largest(values, half), expected)


def test_a_small_tremor_far_from_zero_keeps_its_deviation():
    tremor = 1e6 + column(*[0.0, 0.002] * 50)

    spread = WindowSums(tremor).deviation(10, 9)

    np.testing.assert_allclose(spread[10:-9], 0.001, rtol=1e-4)


def test_blocks_average_what_is_known_and_the_last_may_be_short():
    values = column(1, 2, 3, NAN, 5, 7, NAN, NAN, NAN, 4)

    np.testing.assert_array_equal(block_means(values, 3), column(2, 6, NAN, 4))


def test_a_step_is_seen_from_before_and_after():
    config = RollingConfig(
        block_s=0.1, mean_s=(), deviation_s=(), extreme_s=(1.0,), side_s=(1.0,)
    )
    step = column(*[0.0] * 20, *[1.0] * 20)

    told = dict(
        zip(
            config.names(("x",)),
            rolling_statistics(step, 10.0, config).T,
            strict=True,
        )
    )

    assert list(told) == [
        "x",
        "x.before.1s",
        "x.after.1s",
        "x.smallest.1s",
        "x.largest.1s",
    ]
    assert told["x.before.1s"][19] == 0
    assert told["x.after.1s"][19] == pytest.approx(10 / 11)
    assert told["x.before.1s"][20] == pytest.approx(1 / 11)
    np.testing.assert_array_equal(np.flatnonzero(told["x.largest.1s"])[0], 15)
    np.testing.assert_array_equal(np.flatnonzero(told["x.smallest.1s"])[0], 25)


@pytest.mark.parametrize("rate_fps", [10.0, 33.3, 120.0])
def test_every_statistic_has_its_name_at_any_rate(rate_fps):
    config = RollingConfig()
    values = np.random.default_rng(0).normal(size=(500, 3))
    names = config.names(("a", "b", "c"))

    told = rolling_statistics(values, rate_fps, config)

    size = config.block_frames(rate_fps)
    assert told.shape == (-(-500 // size), len(names))
    assert len(set(names)) == len(names)


def test_windows_last_as_long_in_every_lab():
    config = RollingConfig(mean_s=(2.0,))
    waves = [np.sin(np.arange(0, 20, 1 / fps))[:, None] for fps in (20.0, 40.0, 120.0)]

    slow, middle, fast = (
        rolling_statistics(wave, fps, config)[:, 1]
        for wave, fps in zip(waves, (20.0, 40.0, 120.0), strict=True)
    )

    np.testing.assert_allclose(slow[20:-20], middle[20:-20], atol=0.05)
    np.testing.assert_allclose(slow[20:-20], fast[20:-20], atol=0.05)


@pytest.mark.parametrize("wrong", [{"block_s": 0.0}, {"mean_s": (1.0, -2.0)}])
def test_windows_without_length_are_refused(wrong):
    with pytest.raises(ConfigError, match="longer than 0 s"):
        RollingConfig(**wrong)
