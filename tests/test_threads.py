import os
import subprocess
import sys

import pytest

from mabe.runtime.threads import SHORT_SPIN, spin_briefly


def test_threads_spin_briefly_where_the_user_has_set_nothing():
    environment = {"HOME": "/home/anna"}
    spin_briefly(environment)
    assert environment == {"HOME": "/home/anna", **SHORT_SPIN}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_the_user_s_own_setting_stays_alone(name):
    environment = {name: "7"}
    spin_briefly(environment)
    assert environment == {name: "7"}


def test_importing_mabe_sets_it_before_torch_is_there():
    code = (
        "import os, sys, mabe;"
        "assert 'torch' not in sys.modules;"
        "print(os.environ['GOMP_SPINCOUNT'])"
    )
    others = {k: v for k, v in os.environ.items() if k not in SHORT_SPIN}
    others.pop("OMP_WAIT_POLICY", None)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=others
    )
    assert result.stdout.strip() == "1000", result.stderr
