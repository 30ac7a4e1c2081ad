"""A training run, from a config to a run directory with a model in it."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from lightning_fabric import Fabric

from mabe.config import RunConfig, dump_config
from mabe.errors import ConfigError, StopRequested
from mabe.models.checkpoint import SUFFIX, Provenance
from mabe.models.input_contract import InputContract
from mabe.models.model import Model, is_quick_in_bf16
from mabe.runtime.console import format_score, muted, print_lines
from mabe.runtime.devices import choose_device, choose_precision, describe_device
from mabe.runtime.distributed import (
    any_of,
    lead,
    make_fabric,
    part_in_peace,
    wait_for_all,
)
from mabe.runtime.object_storage import shown
from mabe.runtime.process_group import Team
from mabe.training.batch_size import settle_batch_size
from mabe.training.grow_trees import grow_trees
from mabe.training.history import Epoch, best_epoch, read_history, write_history
from mabe.training.loop import settle_micro_batch, train_epoch
from mabe.training.objectives import (
    ClassCount,
    Objective,
    TrainingData,
    load_training_data,
)
from mabe.training.progress import (
    describe_data,
    describe_model,
    describe_team,
    epoch_bar,
    epoch_line,
    grown_line,
    part_bar,
    time_left,
)
from mabe.training.run_directory import (
    check_same_data,
    check_same_settings,
    document,
    is_grown,
    lock_run,
    read_state,
    save_models,
    save_state,
    set_aside,
    with_settled_batch,
    write_config,
)
from mabe.training.schedule import (
    epoch_scores,
    is_finished,
    learning_rate,
    steps_in_epoch,
)
from mabe.training.state import (
    TrainingState,
    averaged_model,
    restore_state,
    start_state,
    state_values,
)

_ASK_EVERY = 8
"""Steps after which the processes of a team ask whether one of them is to stop."""


Watcher = Callable[[Sequence[Epoch]], None]
"""Is called with a run's history after each epoch."""


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A finished run: its directory, and what it was trained and scored on."""

    config: RunConfig
    """With the batch size that `auto` became."""
    objective: Objective
    """The labelled recordings, also for predictions of those held out."""
    history: tuple[Epoch, ...]

    @property
    def run_dir(self) -> Path:
        """The run directory."""
        return self.config.checkpoint_dir

    @property
    def model_path(self) -> Path:
        """The file of the best model."""
        return self.run_dir / f"best{SUFFIX}"

    @property
    def macro_f1(self) -> float | None:
        """The best macro F1 on the recordings held out."""
        return best_epoch(self.history).macro_f1


@dataclass(frozen=True, slots=True)
class StateKeeper:
    """Saves a run's state, also when somebody asks it to stop."""

    state: TrainingState
    fabric: Fabric
    run_dir: Path
    stop_asked: Callable[[], bool]

    def save(self) -> None:
        """Write what a resumed run goes on from; the first process does."""
        if self.fabric.is_global_zero:
            save_state(
                self.run_dir,
                state_values(self.state, self.fabric),
                self.state.history,
            )

    def stop_if_asked(self) -> None:
        """Save and raise `StopRequested` if somebody asked one of the processes."""
        if any_of(self.fabric, self.stop_asked()):
            self.save()
            wait_for_all(self.fabric)  # the launcher ends all when one has left
            raise StopRequested(
                f"stopped at step {self.state.step}; --resume goes on from there"
            )


def train(
    config: RunConfig,
    *,
    resume: bool = False,
    skip_bad: bool = False,
    watcher: Watcher | None = None,
    team: Team | None = None,
) -> TrainedRun:
    """Train as the config says and return the finished run.

    An earlier run in `checkpoint_dir` is gone on with (`resume`) or set aside under
    another name, never overwritten. Raises `StopRequested` after Ctrl-C, and
    `MabeError` for what the user can mend. Processes that torchrun or SLURM started
    train together, unless another `team` is given; the first one writes and tells.
    """
    if config.model_type == "auto":
        raise ConfigError(
            "model_type: auto is several runs: see mabe.bagging.train_recipe, or name "
            "one kind"
        )
    team = team or Team.of_environment()
    if config.is_grown:
        team.refuse("model_type: trees")
    device = choose_device(config.device, team)
    precision = choose_precision(
        device, config.precision, is_quick_in_bf16=is_quick_in_bf16(config.model)
    )
    fabric = make_fabric(device, precision, team)
    with muted(not team.is_first), ExitStack() as held:
        lead(fabric, lambda: held.enter_context(_locked(config.checkpoint_dir)))
        about_device = [
            *describe_device(device),
            *describe_team(team, device.type),
            f"Precision: {precision}",
        ]
        trained = _train(
            config,
            fabric,
            about_device,
            resume=resume,
            skip_bad=skip_bad,
            watcher=watcher,
        )
    part_in_peace(fabric)
    return trained


@contextmanager
def _locked(run_dir: Path) -> Iterator[None]:
    with lock_run(run_dir):
        yield


def _train(
    config: RunConfig,
    fabric: Fabric,
    about_device: list[str],
    *,
    resume: bool,
    skip_bad: bool,
    watcher: Watcher | None,
) -> TrainedRun:
    run_dir, processes = config.checkpoint_dir, fabric.world_size
    if resume:
        config = lead(fabric, lambda: _as_begun(config, processes))
    print_lines(*about_device)
    data = _load_together(config, fabric, skip_bad=skip_bad)
    objective = data.objective(config)
    counts = objective.class_counts()
    print_lines(
        *describe_data(
            counts,
            unit=objective.counted_unit,
            learned=len(data.learned),
            held_out=len(data.held_out),
            left_out=len(data.store.recordings)
            - len(data.learned)
            - len(data.held_out),
        )
    )
    if config.batch_size == "auto" and not config.is_grown:
        config, reason = settle_batch_size(config, objective, fabric)
        print_lines(reason)

    def begin() -> None:
        if resume:
            check_same_data(run_dir, data.content)
            write_config(run_dir, dump_config(config))
        else:
            _begin(config, data, about_device, counts, processes)

    lead(fabric, begin)
    if config.is_grown:
        history = _grow(objective, config)
        return TrainedRun(config, objective, history)
    state = start_state(config, objective.task, fabric, objective)
    if objective.keep_poses_on(fabric.device):
        print_lines(f"Poses: all of them in the memory of {fabric.device}")
    parameters = sum(p.numel() for p in state.model.parameters())
    steps = steps_in_epoch(objective.counted_frames, config, processes=processes)
    print_lines(
        *describe_model(
            config,
            averaged_model(state).features,
            parameters=parameters,
            steps=steps,
            processes=processes,
        )
    )
    if resume:
        _go_on(state, config, fabric)
    if not is_finished(config, epoch_scores(state.history)):
        settle_micro_batch(state, objective, config, fabric)
    _train_epochs(state, objective, config=config, fabric=fabric, watcher=watcher)
    return TrainedRun(config, objective, tuple(state.history))


def _as_begun(config: RunConfig, processes: int) -> RunConfig:
    """Return the config to go on with; raises where it is another run's."""
    run_dir = config.checkpoint_dir
    config = with_settled_batch(run_dir, config, processes=processes)
    check_same_settings(run_dir, config, processes=processes)
    return config


def _load_together(
    config: RunConfig, fabric: Fabric, *, skip_bad: bool
) -> TrainingData:
    """Let the first process prepare the data, then all of them load it."""
    loaded: list[TrainingData] = []
    lead(
        fabric,
        lambda: loaded.append(load_training_data(config, skip_bad=skip_bad)),
    )
    # Machines that share no disk prepare for themselves; the store has a lock.
    return (
        loaded[0]
        if loaded
        else load_training_data(config, skip_bad=skip_bad, notes=False)
    )


def _grow(objective: Objective, config: RunConfig) -> tuple[Epoch, ...]:
    """Grow trees, which takes no epochs, and save and score them as one epoch."""
    if is_grown(config.checkpoint_dir):
        print_lines(f"✓ {config.checkpoint_dir} is finished")
        return read_history(config.checkpoint_dir)
    began = time.perf_counter()
    with part_bar() as bar:
        model = grow_trees(objective, config, after_part=bar.update)
    held_out = objective.score(model)
    grown = Epoch(
        number=1,
        step=config.tree_rounds,
        learning_rate=config.tree_learning_rate,
        train_loss=math.nan,
        val_loss=held_out.loss,
        scores=held_out.summary,
        seconds=round(time.perf_counter() - began, 2),
    )
    print_lines(grown_line(grown))
    _save(objective, config, model, grown, is_best=True)
    write_history(config.checkpoint_dir, [grown])
    return (grown,)


def _begin(
    config: RunConfig,
    data: TrainingData,
    about_device: list[str],
    counts: Sequence[ClassCount],
    processes: int,
) -> None:
    """Start a run directory; an earlier run in its place is set aside."""
    run_dir = config.checkpoint_dir
    if kept := set_aside(run_dir):
        print_lines(f"{run_dir} held an earlier run, which is now {kept}")
    recordings = data.store.recordings
    facts = {
        "device": about_device,
        "data": shown(config.data_dir),
        "class_frames": [asdict(count) for count in counts],
        "learned": [recordings[i].name for i in data.learned],
        "held_out": [recordings[i].name for i in data.held_out],
        "trained_on": list(data.tracks(data.learned)),
        "validated_on": list(data.tracks(data.held_out)),
        "content": data.content,
        "windows_per_step": (None if config.is_grown else processes * config.windows),
    }
    document(run_dir, dump_config(config), facts)


def _go_on(state: TrainingState, config: RunConfig, fabric: Fabric) -> None:
    """Bring the state to where the run stopped."""
    run_dir = config.checkpoint_dir
    values = lead(fabric, lambda: read_state(run_dir))
    if values is None:
        print_lines(
            f"{run_dir}: stopped before anything was saved; starting from the top"
        )
        return
    restore_state(state, values, fabric)
    if is_finished(config, epoch_scores(state.history)):
        print_lines(f"✓ {run_dir} is finished: {len(state.history)} epochs")
    else:
        print_lines(
            f"✓ Going on from step {state.step}, in epoch {len(state.history) + 1}"
        )


def _train_epochs(
    state: TrainingState,
    objective: Objective,
    *,
    config: RunConfig,
    fabric: Fabric,
    watcher: Watcher | None,
) -> None:
    steps = steps_in_epoch(
        objective.counted_frames, config, processes=fabric.world_size
    )
    with _stop_asked() as stop_asked:
        keeper = StateKeeper(state, fabric, config.checkpoint_dir, stop_asked)
        while not is_finished(config, epoch_scores(state.history)):
            mean_loss = _train_one_epoch(
                state, objective, config, fabric, keeper, steps=steps
            )
            keeper.save()  # scoring takes a while too
            _finish_epoch(
                state, objective, config, fabric, mean_loss=mean_loss, steps=steps
            )
            keeper.save()
            if watcher and fabric.is_global_zero:
                watcher(state.history)
            keeper.stop_if_asked()
    best = best_epoch(state.history)
    print_lines(
        f"✓ Best macro F1 on held-out recordings: {format_score(best.macro_f1)} "
        f"(epoch {best.number} of {len(state.history)})",
        f"✓ Model: {config.checkpoint_dir / f'best{SUFFIX}'}",
        always=True,
    )


def _train_one_epoch(
    state: TrainingState,
    objective: Objective,
    config: RunConfig,
    fabric: Fabric,
    keeper: StateKeeper,
    *,
    steps: int,
) -> float:
    """Take the steps left of this epoch, saving the state now and then."""
    epoch = len(state.history) + 1
    scores = epoch_scores(state.history)
    best = format_score(max(scores)) if scores else "-"
    left = time_left(state.history, epochs=config.epochs)
    saved_at = time.monotonic()
    bar = epoch_bar(
        epoch=epoch,
        epochs=config.epochs,
        done=state.step - (epoch - 1) * steps,
        steps=steps,
    )

    def after_step() -> None:
        nonlocal saved_at
        bar.update()
        bar.set_postfix_str(
            f"loss {format_score(state.losses.last)}, best {best}{left}"
        )
        if fabric.world_size == 1 or state.step % _ASK_EVERY == 0:
            keeper.stop_if_asked()
        if time.monotonic() - saved_at > config.save_every_s:
            keeper.save()
            saved_at = time.monotonic()

    with bar:
        return train_epoch(
            state, objective, config=config, fabric=fabric, after_step=after_step
        )


def _finish_epoch(
    state: TrainingState,
    objective: Objective,
    config: RunConfig,
    fabric: Fabric,
    *,
    mean_loss: float,
    steps: int,
) -> None:
    """Let the first process score the epoch and write its models; note the record."""
    record = lead(
        fabric,
        lambda: _score_epoch(
            state, objective, config, mean_loss=mean_loss, steps=steps
        ),
    )
    state.history.append(record)
    state.losses.start()
    state.epoch_seconds = 0.0


def _score_epoch(
    state: TrainingState,
    objective: Objective,
    config: RunConfig,
    *,
    mean_loss: float,
    steps: int,
) -> Epoch:
    """Score the epoch, write its models and return it."""
    began = time.perf_counter()
    model = averaged_model(state)
    held_out = objective.score(model)
    rate = learning_rate(
        config,
        step=state.step - 1,
        steps_per_epoch=steps,
        scores=epoch_scores(state.history),
    )
    seconds = state.epoch_seconds + time.perf_counter() - began
    epoch = Epoch(
        number=len(state.history) + 1,
        step=state.step,
        learning_rate=rate,
        train_loss=mean_loss,
        val_loss=held_out.loss,
        scores=held_out.summary,
        seconds=round(seconds, 2),
    )
    history = [*state.history, epoch]
    print_lines(epoch_line(history, epochs=config.epochs))
    is_best = best_epoch(history) is epoch
    _save(objective, config, model, epoch, is_best=is_best)
    return epoch


def _save(
    objective: Objective,
    config: RunConfig,
    model: Model,
    epoch: Epoch,
    *,
    is_best: bool,
) -> None:
    """Write a model as it is after an epoch, with where it comes from."""
    provenance = Provenance(
        epoch=epoch.number,
        step=epoch.step,
        trained_on=objective.data.tracks(objective.data.learned),
        validated_on=objective.data.tracks(objective.data.held_out),
        validation=epoch.scores.to_json(),
        contract=InputContract.of(
            [objective.data.store.recordings[i] for i in objective.data.learned]
        ),
        data_dir=shown(config.data_dir),
    )
    save_models(
        config.checkpoint_dir,
        model,
        provenance,
        is_best=is_best,
        save_freq=config.save_freq,
    )


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Note Ctrl-C and SIGTERM; the loop stops after the step, not in the middle."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        asked.append(number)

    try:
        before = {
            number: signal.signal(number, note)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:  # not the main thread: whoever started us handles signals
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
