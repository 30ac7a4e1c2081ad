"""The networks by the names that `model_type` gives them."""

from collections.abc import Mapping

from mabe.models.conv_bilstm import ConvBiLSTM
from mabe.models.conv_gru import ConvGRU
from mabe.models.model_config import ModelConfig
from mabe.models.network_base import FrameNetwork
from mabe.models.tcn import TCN

NETWORKS: Mapping[str, type[FrameNetwork]] = {
    "conv_bilstm": ConvBiLSTM,
    "tcn": TCN,
    "conv_gru": ConvGRU,
}
"""The networks by their `model_type`."""


def is_quick_in_bf16(config: ModelConfig) -> bool:
    """Return whether a model is faster in bfloat16 on a CPU that has AMX."""
    network = NETWORKS.get(config.model_type)  # trees have none
    return network is not None and network.is_quick_in_bf16


def build_network(config: ModelConfig, channels: int, classes: int) -> FrameNetwork:
    """Return a new network of the kind that `model_type` names."""
    return NETWORKS[config.model_type].of(config, channels=channels, classes=classes)
