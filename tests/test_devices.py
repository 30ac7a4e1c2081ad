import platform

import pytest
import torch

from mabe.errors import ConfigError
from mabe.models.model_config import ModelConfig
from mabe.models.networks import is_quick_in_bf16
from mabe.runtime.devices import (
    choose_device,
    describe_device,
    has_kernels,
    missing_kernels,
)
from mabe.runtime.distributed import make_fabric
from mabe.runtime.precision import choose_precision

CU124 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU128 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
RTX_5090 = (12, 0)


def test_a_build_for_cuda_12_4_has_no_kernels_for_an_rtx_5090():
    assert not has_kernels(RTX_5090, CU124)
    assert has_kernels(RTX_5090, CU128)


def test_binary_code_runs_on_later_cards_of_the_same_major_version_alone():
    assert has_kernels((8, 9), CU124)
    assert not has_kernels((8, 0), ["sm_86"])
    assert has_kernels((9, 0), ["sm_90a"])


def test_portable_code_runs_on_any_newer_card():
    assert has_kernels(RTX_5090, ["sm_80", "compute_90"])
    assert not has_kernels((8, 0), ["compute_90"])


def test_missing_kernels_are_told_with_the_command_that_mends_them():
    message = missing_kernels("NVIDIA GeForce RTX 5090", CU124)
    assert "RTX 5090" in message
    assert "cu128" in message
    assert "\n" not in message


def test_auto_finds_a_device_and_cpu_is_always_there():
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    assert choose_device("cpu") == torch.device("cpu")
    lines = describe_device(torch.device("cpu"))
    assert lines[0] == "Device: cpu"
    assert (platform.processor() or platform.machine()) in lines[1]


@pytest.mark.parametrize("wanted", ["gpu0", "cuda:x", "meta"])
def test_an_unknown_device_is_refused(wanted):
    with pytest.raises(ConfigError, match="none of auto, cpu"):
        choose_device(wanted)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_where_there_is_none_is_one_line_with_what_to_try():
    with pytest.raises(ConfigError, match="device: auto"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("has_amx", "is_quick", "wanted", "chosen"),
    [
        (False, True, "auto", "32"),
        (True, True, "auto", "bf16"),
        (True, False, "auto", "32"),
        (True, True, "32", "32"),
        (False, True, "bf16", "bf16"),
    ],
)
def test_a_processor_computes_in_16_bits_where_that_is_quicker(
    monkeypatch, has_amx, is_quick, wanted, chosen
):
    monkeypatch.setattr("mabe.runtime.precision.has_quick_bf16", lambda _: has_amx)
    cpu = torch.device("cpu")
    assert choose_precision(cpu, wanted, is_quick_in_bf16=is_quick) == chosen


@pytest.mark.parametrize(
    ("model_type", "is_quick"),
    # torch has no quick GRU of 16 bits
    [("conv_bilstm", True), ("conv_gru", False), ("tcn", False), ("trees", False)],
)
def test_an_lstm_is_quicker_in_16_bits_where_the_processor_has_amx(
    model_type, is_quick
):
    config = ModelConfig(model_type=model_type, feature_set="social")
    assert is_quick_in_bf16(config) == is_quick


def test_mixed_precision_leaves_poses_unrounded():
    fabric = make_fabric(torch.device("cpu"), "bf16")

    class Look(torch.nn.Module):
        def forward(self, x):
            self.seen = x.dtype
            return x

    model = fabric.setup(Look())
    model(torch.zeros(3))
    assert model.module.seen == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_is_described_by_name_and_memory():
    lines = describe_device(choose_device("cuda"))
    assert lines[1].startswith("GPU: ")
    assert lines[2].startswith("VRAM: ")
