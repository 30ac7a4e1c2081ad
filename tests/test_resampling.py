"""Resampling: the same moments, nothing invented."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mabe import resampling as rates
from mabe.resampling import (
    LEAST_AVERAGED,
    nearest_frames,
    resampled_length,
    resampled_pieces,
)

RATES = st.sampled_from([10.0, 24.98, 25.0, 30.0, 33.3, 50.0, 60.0, 120.0])


def resample(poses, *, from_fps, to_fps):
    pieces = resampled_pieces(poses, from_fps=from_fps, to_fps=to_fps)
    return np.concatenate([poses[:0], *pieces])


def track(*values):
    """One point that moves along x; y is ten times x."""
    x = np.array(values, np.float32)
    return np.stack([x, 10 * x], axis=-1)[:, None]


@pytest.mark.parametrize(
    ("length", "from_fps", "to_fps", "expected"),
    [
        (0, 30, 60, 0),
        (1, 30, 60, 1),
        (3, 30, 60, 5),  # frames at 0, .5, 1, 1.5 and 2
        (5, 60, 30, 3),
        (4, 60, 30, 2),  # the last frame has no partner
        (101, 30, 33.3, 112),  # 100 × 33.3 / 30 is 110.99999999999999 in floats
    ],
)
def test_the_last_frame_is_the_last_that_fits(length, from_fps, to_fps, expected):
    assert resampled_length(length, from_fps=from_fps, to_fps=to_fps) == expected


def test_a_point_moving_evenly_is_found_where_it_was_in_between():
    result = resample(track(0, 2, 4), from_fps=30, to_fps=60)

    np.testing.assert_allclose(result, track(0, 1, 2, 3, 4))


def test_the_nearer_neighbour_stands_in_for_a_missing_one():
    result = resample(track(0, np.nan, 6, 9), from_fps=10, to_fps=30)

    nan = np.nan
    # Thirds of frames: 1/3 takes frame 0, 2/3 to 4/3 are nearest the gap, 5/3 takes 6.
    np.testing.assert_allclose(
        result, track(0, 0, nan, nan, nan, 6, 6, 7, 8, 9), atol=1e-5
    )


def test_at_a_third_of_the_rate_a_point_is_the_mean_of_the_three_frames_nearest_to_it():
    result = resample(track(0, 4, 1, 2, 6, 9, 9), from_fps=30, to_fps=10)

    # Frames 0 and 1, then 2 to 4, then 5 and 6: the ends have no third.
    np.testing.assert_allclose(result, track(2, 3, 9))


def test_one_frame_that_shows_a_point_is_enough_for_the_mean():
    nan = np.nan
    result = resample(track(5, nan, nan, 7, nan, nan, nan), from_fps=30, to_fps=10)

    np.testing.assert_allclose(result, track(5, 7, nan))


def test_equal_rates_return_the_very_same_poses():
    poses = track(1, np.nan, 3)

    [piece] = resampled_pieces(poses, from_fps=33.3, to_fps=33.3)

    assert np.shares_memory(piece, poses)
    np.testing.assert_array_equal(piece, poses)


def test_a_frame_midway_belongs_to_the_earlier_one():
    nearest = nearest_frames(5, from_fps=30, to_fps=60, from_length=3)

    assert nearest.tolist() == [0, 0, 1, 1, 2]


def test_frames_behind_the_end_get_the_last_one():
    nearest = nearest_frames(4, from_fps=30, to_fps=30, from_length=2)

    assert nearest.tolist() == [0, 1, 1, 1]


def test_no_frames_cannot_become_some():
    with pytest.raises(ValueError, match="cannot resample 0 frames"):
        nearest_frames(1, from_fps=30, to_fps=30, from_length=0)


@given(length=st.integers(1, 500), fps=RATES, rate=RATES)
def test_labels_there_and_back_move_by_no_more_than_a_frame_of_either_rate(
    length, fps, rate
):
    there = nearest_frames(
        resampled_length(length, from_fps=fps, to_fps=rate),
        from_fps=fps,
        to_fps=rate,
        from_length=length,
    )
    back = nearest_frames(length, from_fps=rate, to_fps=fps, from_length=len(there))

    moved_s = np.abs(there[back] - np.arange(length)) / fps
    assert moved_s.max() <= 1 / fps + 1 / rate + 1e-6


@given(
    x=hnp.arrays(
        np.float32, st.integers(1, 60), elements=st.sampled_from([0, 1, 5, np.nan])
    ),
    fps=RATES,
    rate=RATES,
)
def test_a_mean_is_of_the_frames_nearest_to_an_output_frame(x, fps, rate):
    ratio = fps / rate
    assume(ratio >= LEAST_AVERAGED)

    result = resample(track(*x), from_fps=fps, to_fps=rate)

    for place, found in enumerate(result[:, 0, 0]):
        mine = [
            value
            for frame, value in enumerate(x)
            if -ratio / 2 - 1e-5 <= frame - place * ratio < ratio / 2 - 1e-5
        ]
        known = [value for value in mine if not np.isnan(value)]
        expected = np.mean(known) if known else np.nan
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@given(
    x=hnp.arrays(
        np.float32, st.integers(1, 60), elements=st.sampled_from([0, 1, 5, np.nan])
    ),
    fps=RATES,
    rate=RATES,
)
def test_a_point_is_missing_exactly_where_its_nearest_frame_is(x, fps, rate):
    assume(fps < LEAST_AVERAGED * rate)
    poses = track(*x)

    result = resample(poses, from_fps=fps, to_fps=rate)

    nearest = nearest_frames(len(result), from_fps=fps, to_fps=rate, from_length=len(x))
    np.testing.assert_array_equal(np.isnan(result), np.isnan(poses[nearest]))


@given(length=st.integers(2, 200), fps=RATES, rate=RATES)
def test_fast_code_agrees_with_the_obvious_interpolation(length, fps, rate):
    assume(fps < LEAST_AVERAGED * rate)
    poses = track(*np.random.default_rng(length).normal(size=length))

    result = resample(poses, from_fps=fps, to_fps=rate)

    times = np.arange(len(result)) / rate
    expected = np.interp(times, np.arange(length) / fps, poses[:, 0, 0])
    np.testing.assert_allclose(result[:, 0, 0], expected, atol=1e-4)


def test_pieces_join_without_a_seam(monkeypatch):
    poses = np.random.default_rng(0).normal(size=(300, 3, 2)).astype(np.float32)
    whole = resample(poses, from_fps=25, to_fps=33.3)

    monkeypatch.setattr(rates, "_PIECE_VALUES", 7 * 6)

    np.testing.assert_array_equal(resample(poses, from_fps=25, to_fps=33.3), whole)
