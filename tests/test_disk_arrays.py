"""Large arrays on disk: values stay when pages are let go."""

import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mabe.errors import DataError
from mabe.runtime import disk_arrays as spool
from mabe.runtime.disk_arrays import Touched, make_array, row_blocks

FLOATS = np.dtype(np.float32)


@pytest.fixture
def _on_disk(monkeypatch):
    monkeypatch.setattr(spool, "LARGEST_IN_MEMORY", 0)
    monkeypatch.setattr(spool, "_RELEASE_BYTES", 0)


@pytest.mark.usefixtures("_on_disk")
def test_what_was_written_stays_when_pages_are_release():
    array = make_array((1000, 300), FLOATS)
    assert isinstance(array.base, mmap.mmap)
    touched = Touched(array[3:].view(np.int32))
    for row in range(1000):
        array[row] = row
        touched.add(array[row].nbytes)

    np.testing.assert_array_equal(array[:, 7], np.arange(1000))


def test_small_arrays_lie_in_memory():
    array = make_array((10, 3), FLOATS)

    assert array.base is None
    Touched(array).add(1 << 40)  # nothing to let go


@pytest.mark.usefixtures("_on_disk")
def test_a_full_disk_is_said_before_anything_is_written(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"no room for 1 MB .*No space left"):
        make_array((1000, 300), FLOATS)


@given(st.integers(0, 50), st.integers(1, 2000))
def test_a_walk_meets_every_row_once_and_in_order(rows, row_bytes):
    wide = np.zeros((rows, row_bytes), np.uint8)
    narrow = np.arange(rows)
    met = [narrow[some] for some in row_blocks(wide, narrow)]

    np.testing.assert_array_equal(np.concatenate([narrow[:0], *met]), narrow)
