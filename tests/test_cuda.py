"""What a GPU owes: the CPU's answers, the same twice, and a host that never waits.

Skipped where there is none. With MABE_TEST_DEVICE=cuda the stories of whole runs
(test_runs.py, test_prediction.py) are told on the GPU too.
"""

import numpy as np
import pytest
import torch
from stories import TINY, write_fights

from mabe.config import RunConfig, build_config
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.runtime.distributed import make_fabric
from mabe.training.objectives import load_training_data
from mabe.training.state import averaged_model, start_state
from mabe.training.training_step import draw_and_take_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

KINDS = [
    {"model_type": "conv_bilstm", "feature_set": "motion"},
    {"model_type": "tcn", "feature_set": "social"},
    {"model_type": "conv_gru", "feature_set": "social"},
    {"model_type": "conv_bilstm", "feature_set": "motion", "task": "pair"},
    {"model_type": "conv_gru", "feature_set": "social", "task": "pair"},
]


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))


class Run:
    """A network on its way, without files."""

    def __init__(self, config: RunConfig, precision: str) -> None:
        self.device = torch.device(config.device)
        self.config, self.data = config, load_training_data(config)
        self.objective = self.data.objective(config)
        self.fabric = make_fabric(self.device, precision)
        self.state = start_state(
            config, self.objective.task, self.fabric, self.objective
        )
        self.objective.keep_poses_on(self.device)

    def learn(self, steps: int) -> float:
        """Take steps and return their mean loss."""
        self.state.losses.start()
        for _ in range(steps):
            self.step()
        return self.state.losses.read_all() / steps

    def step(self) -> None:
        draw_and_take_step(
            self.state,
            self.objective,
            config=self.config,
            fabric=self.fabric,
            learning_rate=self.config.learning_rate,
        )


def settings(data, tmp_path, **changes) -> RunConfig:
    values = {**TINY, "data_dir": data, "checkpoint_dir": tmp_path / "run"}
    return build_config({**values, **changes}, where="test")


@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_learns_what_a_cpu_learns(fights, tmp_path, kind):
    """The same windows and the same start; only random draws and rounding differ."""
    quiet = {**kind, "dropout": 0.0, "lab_dropout": 0.0, "use_augmentation": False}
    losses = [
        Run(settings(fights, tmp_path, **quiet, device=device), "32").learn(5)
        for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_steps_twice_give_the_same_weights(fights, tmp_path, kind):
    config = settings(fights, tmp_path, **kind, device="cuda")
    one, other = Run(config, "bf16"), Run(config, "bf16")
    assert one.learn(5) == other.learn(5)
    again = averaged_model(other.state).state_dict()
    for name, value in averaged_model(one.state).state_dict().items():
        torch.testing.assert_close(value, again[name], rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_learn_what_launched_ones_learn(fights, tmp_path, kind):
    plain, replayed = (
        Run(settings(fights, tmp_path, **kind, device="cuda", cuda_graphs=on), "bf16")
        for on in (False, True)
    )
    assert [replayed.learn(1) for _ in range(6)] == [plain.learn(1) for _ in range(6)]
    assert replayed.state.recorded is not None
    expected = averaged_model(plain.state).state_dict()
    for name, value in averaged_model(replayed.state).state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_in_32_bits_the_same_steps_twice_nearly_agree(fights, tmp_path, kind):
    """There a GPU's sums run in any order."""
    config = settings(fights, tmp_path, **kind, device="cuda")
    one, other = Run(config, "32"), Run(config, "32")
    assert one.learn(5) == pytest.approx(other.learn(5), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_within_a_step_the_host_never_waits_for_the_gpu(fights, tmp_path, kind):
    run = Run(settings(fights, tmp_path, **kind, device="cuda"), "bf16")
    run.learn(12)  # what is set up once may wait; losses are read 8 steps late
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            run.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_gpu_marks_what_a_cpu_marks(fights, tmp_path, kind):
    run = Run(settings(fights, tmp_path, **kind, device="cuda"), "32")
    run.learn(30)
    model = averaged_model(run.state)
    tracks = Tracks.of_stored(run.data.store, 0)
    possible = np.ones(len(run.objective.task.classes), bool)
    on_gpu = frame_probabilities(model, tracks, possible)
    on_cpu = frame_probabilities(model.to("cpu"), tracks, possible)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=0.02)  # with AMX in 16 bits
    assert np.ptp(on_gpu[:, 0]) > 0.3  # it tells fights from peace
