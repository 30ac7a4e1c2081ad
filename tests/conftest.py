"""Networks in the tests are tiny: one thread is quicker, and leaves the other core.

No test fails because the machine was busy, and none starts other processes for that.
"""

import math

import pytest
import torch
from hypothesis import settings

from mabe.runtime import executors

torch.set_num_threads(1)
settings.register_profile("mabe", deadline=None)
settings.load_profile("mabe")


@pytest.fixture(scope="module", autouse=True)
def work_in_this_process(request):
    """Recordings that take long on a busy machine do not start a pool of processes.

    `test_executors.py` tests when they do.
    """
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name != "test_executors.py":
            patch.setattr(executors, "POOL_PAYS_S", math.inf)
        yield


@pytest.fixture(scope="module")
def browser(request):
    """A browser for the tests of a file: Chromium, or what `in_both_browsers` asks."""
    from browser import Browser
    from firefox import Firefox

    kinds = {"chromium": Browser, "firefox": Firefox}
    browser = kinds[getattr(request, "param", "chromium")]()
    yield browser
    browser.close()
