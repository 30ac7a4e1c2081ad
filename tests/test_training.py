import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pair_stories import stored
from stories import TINY, write_fights
from torch.utils._python_dispatch import TorchDispatchMode

from mabe.config import RunConfig
from mabe.data.pair_windows import SEATS, PairBatch
from mabe.data.scene_windows import Batch
from mabe.errors import RunError
from mabe.models.checkpoint import load_checkpoint
from mabe.pair_task import PairTask
from mabe.runtime.distributed import make_fabric
from mabe.training.best_epoch import UNSCORED, epochs_since_best
from mabe.training.early_stopping import is_finished
from mabe.training.gradient_accumulation import accumulate_gradients
from mabe.training.learning_rate import count_plateaus, learning_rate
from mabe.training.loss_log import LossLog
from mabe.training.losses import ActionWeights, scene_loss
from mabe.training.objectives.pair import PairTargets
from mabe.training.objectives.scene import SceneTargets
from mabe.training.resume import restore_state, state_values
from mabe.training.run import train
from mabe.training.state import averaged_model, start_state
from mabe.training.training_step import steps_in_epoch, take_step

CONFIG = RunConfig(
    conv_channels=(8, 8),
    lstm_hidden=8,
    lstm_layers=2,
    batch_size=4,
    sequence_length=16,
    class_weights=[1, 2, 3, 4],
    seed=5,
)
CPU = torch.device("cpu")


def batch(step, config=CONFIG):
    rng = np.random.default_rng(step)
    poses = rng.normal(0, 5, (config.batch_size, config.sequence_length, 4, 18, 2))
    poses[:, :, 2:] = math.nan
    labels = rng.integers(-1, 4, (config.batch_size, config.sequence_length))
    possible = np.ones((config.batch_size, 4), bool)
    return Batch(poses.astype(np.float32), labels.astype(np.int8), possible)


def learn(state, drawn, config=CONFIG, fabric=None, learning_rate=1e-2):
    """Take a step and return its loss, which is there at once on a CPU."""
    take_step(
        state,
        drawn.poses,
        SceneTargets.of_batch(drawn, config.class_weights, CPU),
        config=config,
        fabric=fabric or make_fabric(CPU, "32"),
        learning_rate=learning_rate,
    )
    return state.losses.last


def train_steps(state, steps, config=CONFIG):
    return [learn(state, batch(state.step, config), config) for _ in range(steps)]


def fresh(config=CONFIG):
    return start_state(config, config.scene_task, make_fabric(CPU, "32"))


def assert_same_weights(one, other):
    for name, value in averaged_model(one).state_dict().items():
        torch.testing.assert_close(
            value, averaged_model(other).state_dict()[name], rtol=0, atol=0
        )


def test_the_same_seed_trains_the_same_model_twice():
    one, other = fresh(), fresh()
    assert train_steps(one, 3) == train_steps(other, 3)
    assert_same_weights(one, other)


def test_another_seed_trains_another_model():
    assert train_steps(fresh(), 1) != train_steps(fresh(CONFIG.changed(seed=6)), 1)


def test_stopped_and_resumed_equals_unstopped(tmp_path):
    unstopped = fresh()
    losses = train_steps(unstopped, 6)

    stopped = fresh()
    before = train_steps(stopped, 2)
    fabric = make_fabric(CPU, "32")
    torch.save(state_values(stopped, fabric), tmp_path / "state.pt")
    resumed = fresh()
    values = torch.load(tmp_path / "state.pt", weights_only=True)
    restore_state(resumed, values, fabric)
    after = train_steps(resumed, 4)

    assert before + after == losses
    assert_same_weights(unstopped, resumed)


def test_training_lowers_the_loss_of_one_batch():
    config = CONFIG.changed(use_augmentation=False, dropout=0.0)
    state = fresh(config)
    losses = [learn(state, batch(0, config), config) for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]  # labels are noise, finer than the pooling


@dataclass
class SmallCard:
    """Stands for a GPU whose memory holds only so many windows."""

    windows: int

    def limit(self, forward):
        def limited(poses):
            if len(poses) > self.windows:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(poses)

        return limited


def test_when_memory_is_short_the_batch_stays_and_goes_through_in_pieces(capsys):
    config = CONFIG.changed(dropout=0.0)
    roomy, tight = fresh(config), fresh(config)
    model = tight.model.module
    model.forward = SmallCard(windows=1).limit(model.forward)
    whole, pieces = train_steps(roomy, 2, config), train_steps(tight, 2, config)
    assert tight.micro_batch == 1
    assert roomy.micro_batch == 4
    assert pieces == pytest.approx(whole, rel=1e-4)
    assert "1 window at a time" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_the_model_trains_in_mixed_precision_too(precision):
    fabric = make_fabric(CPU, precision)
    state = start_state(CONFIG, CONFIG.scene_task, fabric)
    loss = learn(state, batch(0), fabric=fabric, learning_rate=1e-3)
    assert loss == pytest.approx(train_steps(fresh(), 1)[0], rel=0.02)


def test_a_loss_that_is_no_number_stops_the_run_in_one_line():
    state = fresh()
    with torch.no_grad():
        state.model.module.network.head.bias.fill_(math.nan)
    with pytest.raises(RunError, match="step 0: the loss is nan; lower learning_rate"):
        train_steps(state, 1)


def test_memory_too_short_for_one_window_is_not_hidden():
    state = fresh()
    model = state.model.module
    model.forward = SmallCard(windows=0).limit(model.forward)
    with pytest.raises(torch.OutOfMemoryError):
        train_steps(state, 1)


def loss_of(logits, labels, possible, weights=(1.0, 1.0, 1.0)):
    return scene_loss(
        torch.tensor([logits]),
        torch.tensor([labels], dtype=torch.int8),
        torch.tensor([possible]),
        torch.tensor(weights),
    ).item()


def test_the_loss_is_the_weighted_cross_entropy_of_counted_frames():
    logits = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]
    loss = loss_of(logits, [0, 2, -1], [True] * 3, weights=(1.0, 1.0, 5.0))
    assert loss == pytest.approx(math.log(3) * 6)


def test_the_loss_chooses_among_possible_classes_alone():
    logits = [[0.0, 0.0, 50.0]]
    assert loss_of(logits, [0], [True, True, False]) == pytest.approx(math.log(2))


def test_no_gradient_is_lost_to_impossible_classes():
    logits = torch.zeros(1, 2, 3, requires_grad=True)
    scene_loss(
        logits,
        torch.tensor([[0, -1]]),
        torch.tensor([[True, True, False]]),
        torch.ones(3),
    ).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0].tolist() == pytest.approx([-0.5, 0.5, 0.0])
    assert logits.grad[0, 1].abs().sum() == 0


def rate(config, step, scores=()):
    return learning_rate(config, step=step, steps_per_epoch=10, scores=scores)


def test_cosine_rises_to_the_rate_and_falls_to_the_floor():
    config = RunConfig(
        scheduler="cosine", epochs=10, learning_rate=1.0, min_lr=0.1, warmup_epochs=1
    )
    assert rate(config, 0) == pytest.approx(0.1, rel=0.01)
    assert rate(config, 50) == pytest.approx(0.55)
    assert rate(config, 100) == pytest.approx(0.1)


def test_a_plateau_halves_the_rate_each_time():
    config = RunConfig(learning_rate=1.0, scheduler_patience=2, warmup_epochs=0)
    assert rate(config, 0, [0.5, 0.6]) == 1.0
    assert rate(config, 0, [0.6, 0.5, 0.6]) == 0.5
    assert rate(config, 0, [0.6, 0.5, 0.6, 0.5, 0.5]) == 0.25


# Few plateaus: torch stops lowering the rate where it falls below 1e-8.
@given(st.lists(st.floats(0, 1), max_size=20), st.integers(1, 6))
def test_plateaus_agree_with_torchs_own_scheduler(scores, patience):
    parameter = torch.nn.Parameter(torch.zeros(1))
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        torch.optim.SGD([parameter], lr=1.0),
        mode="max",
        factor=0.5,
        patience=patience - 1,  # torch counts the epochs it tolerates
        threshold=0.0,
        threshold_mode="abs",
    )
    for score in scores:
        oracle.step(score)
    falls = count_plateaus(scores, patience=patience)
    assert 0.5**falls == pytest.approx(oracle.get_last_lr()[0])


def test_a_run_stops_after_its_patience_or_its_epochs():
    config = RunConfig(early_stopping_patience=3, epochs=10)
    assert epochs_since_best([0.1, 0.5, 0.5, 0.4]) == 2
    assert not is_finished(config, [0.1, 0.5, 0.5, 0.4])
    assert is_finished(config, [0.1, 0.5, 0.5, 0.4, 0.3])
    assert is_finished(config, [i / 10 for i in range(10)])
    never = config.changed(early_stopping_patience=0)
    assert not is_finished(never, [0.5, 0.1, 0.1, 0.1, 0.1])


def test_without_a_score_a_run_goes_on_to_its_end_at_its_rate():
    config = RunConfig(early_stopping_patience=3, epochs=10, warmup_epochs=0)
    assert not is_finished(config, [UNSCORED] * 9)
    assert is_finished(config, [UNSCORED] * 10)
    assert count_plateaus([UNSCORED] * 9, patience=3) == 0


def test_without_a_score_the_model_is_of_the_last_epoch(tmp_path):
    fights = write_fights(tmp_path / "data", videos=2, seconds=8)
    settings = {**TINY, "data_dir": fights, "checkpoint_dir": tmp_path / "run"}
    config = RunConfig(**settings, hold_out=False, epochs=2, steps_per_epoch=2)
    finished = train(config)
    assert finished.macro_f1 is None
    [member] = load_checkpoint(finished.run_dir).members
    assert member.provenance.epoch == 2


def test_an_epoch_shows_as_many_frames_as_count():
    assert steps_in_epoch(64 * 10, CONFIG) == 10
    assert steps_in_epoch(64 * 10 + 1, CONFIG) == 11
    assert steps_in_epoch(1, CONFIG) == 1


def test_the_averaged_weights_lag_behind_and_forget_the_start():
    state = fresh()
    train_steps(state, 30)
    distance = [
        (averaged_model(state).network.head.weight - weight).norm().item()
        for weight in (
            state.model.module.network.head.weight,
            averaged_model(fresh()).network.head.weight,
        )
    ]
    assert 0 < distance[0] < distance[1]


class Asking(TorchDispatchMode):
    """Notes when a computation needs to know a number before it goes on."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "equal"):
            self.asked.append(name)
        return func(*args, **(kwargs or {}))


def test_a_step_asks_the_device_for_nothing(monkeypatch):
    """So the host goes on while a GPU computes; the loss is read steps later."""
    monkeypatch.setattr(
        "mabe.runtime.tensors.is_on_cpu", lambda _: False
    )  # as on a GPU
    config = CONFIG.changed(dropout=0.0)
    fabric, state, drawn = make_fabric(CPU, "32"), fresh(config), batch(0)
    state.losses = LossLog(behind=8)
    targets = SceneTargets.of_batch(drawn, config.class_weights, CPU)
    with Asking() as mode:
        loss = accumulate_gradients(state, drawn.poses, targets, config, fabric)
        fabric.clip_gradients(
            state.model, state.optimizer, max_norm=1.0, error_if_nonfinite=False
        )
        state.losses.add(loss, step=0, learning_rate=1e-3)
    assert mode.asked == []
    loss_at_once = train_steps(fresh(config), 1, config)[0]
    assert state.losses.read_all() == pytest.approx(loss_at_once)


def test_a_state_from_after_a_loss_that_is_no_number_is_never_given_away():
    state = fresh()
    state.losses = LossLog(behind=8)
    train_steps(state, 1)
    with torch.no_grad():
        state.model.module.network.head.bias.fill_(math.nan)
    train_steps(state, 1)  # not read yet
    with pytest.raises(RunError, match="step 1: the loss is nan"):
        state_values(state, make_fabric(CPU, "32"))


@pytest.mark.parametrize("model_type", ["conv_bilstm", "tcn", "conv_gru"])
@pytest.mark.parametrize("feature_set", ["motion", "social"])
def test_every_weight_of_a_network_learns_in_every_step(model_type, feature_set):
    """Processes that train together wait for the gradient of each."""
    config = CONFIG.changed(model_type=model_type, feature_set=feature_set)
    state = fresh(config)
    targets = SceneTargets.of_batch(batch(0), config.class_weights, CPU)
    args = (batch(0).poses, targets, config, make_fabric(CPU, "32"))
    accumulate_gradients(state, *args)
    assert all(p.grad is not None for p in state.model.parameters())


@pytest.mark.parametrize("feature_set", ["motion", "social"])
def test_so_does_every_weight_of_a_network_of_pairs(feature_set):
    config = CONFIG.changed(task="pair", feature_set=feature_set, class_weights=None)
    task = PairTask.from_recordings([stored(("1>2 sniff", 0, 5))])
    state = start_state(config, task, make_fabric(CPU, "32"))
    poses = np.random.default_rng(0).normal(0, 5, (4, 16, SEATS, 18, 2))
    drawn = PairBatch(
        poses.astype(np.float32),
        labels=np.ones((4, 16, 1), np.int8),
        lab=np.zeros(4, np.int64),
        is_self=np.array([True, False, True, False]),
    )
    targets = PairTargets.of_batch(drawn, ActionWeights((1.0,), (1.0,)), CPU)
    args = (drawn.poses, targets, config, make_fabric(CPU, "32"))
    accumulate_gradients(state, *args)
    assert all(p.grad is not None for p in state.model.parameters())


def test_two_processes_share_the_steps_of_one():
    assert steps_in_epoch(64 * 10, CONFIG, processes=2) == 5
