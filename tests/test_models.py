from typing import get_args

import pytest
import torch

from mabe.models.model_config import ModelConfig
from mabe.models.networks import NETWORKS, build_network

CHANNELS, CLASSES = 360, 4
SMALL = {
    "conv_channels": (8, 8, 8),
    "lstm_hidden": 8,
    "tcn_width": 8,
    "tcn_layers": 4,
    "gru_width": 8,
    "dropout": 0.0,
}


@pytest.fixture(params=["conv_bilstm", "tcn", "conv_gru"])
def network(request):
    torch.manual_seed(0)
    config = ModelConfig(model_type=request.param, **SMALL)
    network = build_network(config, CHANNELS, CLASSES).eval()
    # Fresh norms have no bias, which would hide a leak.
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 100, 333])
def test_there_is_one_logit_per_class_at_every_frame_of_any_window(network, frames):
    assert network(torch.randn(2, frames, CHANNELS)).shape == (2, frames, CLASSES)


def test_a_window_does_not_depend_on_its_batch(network):
    windows = torch.randn(3, 64, CHANNELS)
    together = network(windows)
    alone = torch.cat([network(window[None]) for window in windows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_the_receptive_field_of_the_tcn_is_what_it_says():
    torch.manual_seed(0)
    tcn = build_network(
        ModelConfig(model_type="tcn", **SMALL), CHANNELS, CLASSES
    ).eval()
    assert tcn.receptive_field == 31  # 2^5 - 1
    x = torch.randn(1, 101, CHANNELS, requires_grad=True)
    tcn(x)[0, 50].sum().backward()
    reached = x.grad[0].abs().sum(dim=1).nonzero().flatten()
    assert reached.min() == 50 - 15
    assert reached.max() == 50 + 15


@pytest.mark.parametrize("model_type", ["conv_bilstm", "conv_gru"])
def test_a_recurrent_network_sees_the_whole_window(model_type):
    torch.manual_seed(0)
    config = ModelConfig(model_type=model_type, **SMALL)
    network = build_network(config, CHANNELS, CLASSES).eval()
    x = torch.randn(1, 200, CHANNELS, requires_grad=True)
    network(x)[0, 100].sum().backward()
    reached = x.grad[0].abs().sum(dim=1) > 0
    assert reached.all()


@pytest.mark.parametrize("model_type", ["conv_bilstm", "tcn", "conv_gru"])
def test_a_network_memorises_one_batch(model_type):
    torch.manual_seed(0)
    config = ModelConfig(model_type=model_type, **SMALL)
    network = build_network(config, 12, CLASSES)
    x = torch.randn(4, 32, 12)
    labels = torch.randint(CLASSES, (4, 4)).repeat_interleave(8, dim=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        logits = network(x).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(x).argmax(-1) == labels).float().mean() > 0.95


def test_every_model_type_of_the_settings_is_a_network_or_trees():
    types = get_args(ModelConfig.model_fields["model_type"].annotation)
    assert set(types) == {*NETWORKS, "trees"}
