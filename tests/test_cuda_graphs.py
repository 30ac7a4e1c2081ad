"""Loss and gradients that are recorded once and replayed, without a GPU.

In the place of a GPU's graph, work is done again on the memory that it was recorded
with. So it shows everything but the recording itself, which test_cuda.py does on a GPU.
"""

import pytest
import torch
from stories import TINY, write_fights

from mabe.config import build_config
from mabe.runtime.distributed import make_fabric
from mabe.training import gradient_accumulation
from mabe.training.objectives import load_training_data
from mabe.training.state import averaged_model, start_state, unwrapped
from mabe.training.training_step import draw_and_take_step

KINDS = [
    {"model_type": "conv_bilstm", "feature_set": "motion"},
    {"model_type": "conv_gru", "feature_set": "social"},
    {"model_type": "tcn", "feature_set": "social", "use_augmentation": False},
    {"model_type": "conv_gru", "feature_set": "social", "task": "pair"},
]


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data")


class Graphs:
    """Stands for a GPU: what is recorded writes to the same gradients each time."""

    def __init__(self):
        self.recorded = 0
        self.model = None

    def record(self, work):
        self.recorded += 1
        work()  # as a warm-up does
        work()
        parameters = list(unwrapped(self.model).parameters())
        kept = [each.grad for each in parameters]

        def replay():
            work()
            for parameter, gradient in zip(parameters, kept, strict=True):
                if gradient is not None:
                    gradient.copy_(parameter.grad)
                parameter.grad = None  # the host does not see what a graph sets

        return replay


def trained(fights, tmp_path, kind, *, steps=5):
    """Return the losses of some steps, and the state after them."""
    values = {**TINY, "data_dir": fights, "checkpoint_dir": tmp_path / "run"}
    config = build_config({**values, **kind, "device": "cpu"}, where="test")
    data = load_training_data(config)
    config = data.config
    objective = data.objective(config)
    fabric = make_fabric(torch.device("cpu"), "32")
    state = start_state(config, objective.task, fabric, objective)
    return state, lambda: learn(state, objective, config, fabric, steps)


def learn(state, objective, config, fabric, steps):
    losses = []
    for _ in range(steps):
        state.losses.start()
        draw_and_take_step(
            state,
            objective,
            config=config,
            fabric=fabric,
            learning_rate=config.learning_rate,
        )
        losses.append(state.losses.read_all())
    return losses


@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_learn_what_launched_ones_learn(
    fights, tmp_path, kind, monkeypatch
):
    plain, learn_plainly = trained(fights, tmp_path, kind)
    expected = learn_plainly()
    graphs = Graphs()
    monkeypatch.setattr(gradient_accumulation, "replays", lambda *_: True)
    monkeypatch.setattr(gradient_accumulation, "record_on_gpu", graphs.record)
    replayed, learn_by_graph = trained(fights, tmp_path, kind)
    graphs.model = replayed.model
    # Inputs are copied to memory of another layout, in which some processors sum in
    # another order: on one of three machines a loss differed in its last bit.
    assert learn_by_graph() == pytest.approx(expected, rel=1e-5)
    assert graphs.recorded == 1
    weights = averaged_model(plain).state_dict()
    for name, value in averaged_model(replayed).state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=1e-4, atol=1e-5)


def test_a_batch_of_another_shape_is_recorded_anew(fights, tmp_path, monkeypatch):
    graphs = Graphs()
    monkeypatch.setattr(gradient_accumulation, "replays", lambda *_: True)
    monkeypatch.setattr(gradient_accumulation, "record_on_gpu", graphs.record)
    state, learn_some = trained(fights, tmp_path, KINDS[0], steps=1)
    graphs.model = state.model
    learn_some()
    state.recorded._shown = state.recorded._shown[1:]
    learn_some()
    assert graphs.recorded == 2


def test_without_a_gpu_no_step_is_replayed(fights, tmp_path):
    state, learn_some = trained(fights, tmp_path, {**KINDS[0], "cuda_graphs": True})
    learn_some()
    assert state.recorded is None
