"""Networks in the tests are tiny: one thread is quicker, and leaves the other core.

No test fails because the machine was busy.
"""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("mabe", deadline=None)
settings.load_profile("mabe")


@pytest.fixture(scope="module")
def browser(request):
    """A browser for the tests of a file: Chromium, or what `in_both_browsers` asks."""
    from browser import Browser
    from firefox import Firefox

    kinds = {"chromium": Browser, "firefox": Firefox}
    browser = kinds[getattr(request, "param", "chromium")]()
    yield browser
    browser.close()
