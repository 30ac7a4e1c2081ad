import platform
import sys

import numpy as np
import pytest

from mabe.runtime.freed_memory import keeping_freed_memory

SIZE = 24 << 20


def faults_of_repeats(times):
    """Return how many pages were asked for while an array was made so many times."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.ones(SIZE, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc",
    reason="only GNU's C library is asked to keep memory",
)
def test_memory_is_kept_within_the_context_and_returned_after_it():
    with keeping_freed_memory():
        faults_of_repeats(1)
        kept = faults_of_repeats(10)
    returned = faults_of_repeats(10)

    assert kept < returned / 5
