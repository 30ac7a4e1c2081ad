"""A training run, from a config to a run directory with a model in it."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lightning_fabric import Fabric

from mabe.config import RunConfig, dump_config
from mabe.errors import ConfigError
from mabe.models.checkpoint import SUFFIX
from mabe.models.networks import is_quick_in_bf16
from mabe.runtime.console import muted, print_lines
from mabe.runtime.devices import choose_device, describe_device
from mabe.runtime.distributed import (
    in_first_process,
    leave_group,
    make_fabric,
)
from mabe.runtime.launch_environment import ProcessGroup
from mabe.runtime.object_storage import full_path
from mabe.runtime.precision import choose_precision
from mabe.training.batch_size import settle_batch_size
from mabe.training.best_epoch import best_epoch, epoch_scores
from mabe.training.early_stopping import is_finished
from mabe.training.gradient_accumulation import replays
from mabe.training.grow_trees import grow_trees
from mabe.training.history import Epoch, read_history, write_history
from mabe.training.objectives import (
    ClassCount,
    Objective,
    TrainingData,
    load_training_data,
)
from mabe.training.pretraining import pretrain, recordings_to_pretrain_on
from mabe.training.progress import (
    describe_data,
    describe_group,
    describe_model,
    describe_pretraining,
    grown_line,
    part_bar,
)
from mabe.training.resume import (
    check_same_data,
    config_as_begun,
    resume_state,
    state_values,
)
from mabe.training.run_directory import (
    document,
    is_grown,
    lock_run,
    save_state,
    set_aside,
    state_path,
    write_config,
)
from mabe.training.state import (
    TrainingState,
    start_state,
    unwrapped,
)
from mabe.training.training_loop import Watcher, save_epoch, train_epochs
from mabe.training.training_step import settle_micro_batch, steps_in_epoch


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


def train(
    config: RunConfig,
    *,
    resume: bool = False,
    skip_bad: bool = False,
    watcher: Watcher | None = None,
    group: ProcessGroup | None = None,
) -> TrainedRun:
    """Train as the config says and return the finished run.

    An earlier run in `checkpoint_dir` is resumed (`resume`) or renamed, never
    overwritten. Raises `StopRequested` after Ctrl-C, and `MabeError` for errors that
    the user can correct. Processes that torchrun or SLURM started train together,
    unless another `group` is given; the first one writes and prints.
    """
    if config.model_type == "auto":
        raise ConfigError(
            "model_type: auto is several runs: use mabe.train, or name one model_type"
        )
    group = group or ProcessGroup.from_environment()
    if config.is_grown:
        group.refuse("model_type: trees")
    device = choose_device(config.device, group)
    precision = choose_precision(
        device, config.precision, is_quick_in_bf16=is_quick_in_bf16(config.model)
    )
    fabric = make_fabric(device, precision, group)
    with muted(not group.is_first), ExitStack() as held:
        in_first_process(
            fabric, lambda: held.enter_context(_locked(config.checkpoint_dir))
        )
        about_device = [
            *describe_device(device),
            *describe_group(group, device.type),
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
    leave_group(fabric)
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
        config = in_first_process(fabric, lambda: config_as_begun(config, processes))
    print_lines(*about_device)
    data = _load_together(config, fabric, skip_bad=skip_bad)
    config = data.config
    objective = data.objective(config)
    counts = objective.class_counts()
    _print_data(data, objective, counts)
    if config.batch_size == "auto" and not config.is_grown:
        config, reason = settle_batch_size(config, objective, fabric)
        print_lines(reason)

    def begin() -> None:
        if resume:
            check_same_data(run_dir, data.content(config))
            write_config(run_dir, dump_config(config))
        else:
            _begin(config, data, about_device, counts, processes)

    in_first_process(fabric, begin)
    if config.is_grown:
        history = _grow(objective, config)
        return TrainedRun(config, objective, history)
    state = _start(config, objective, fabric, resume=resume)
    if objective.keep_features(unwrapped(state.model)):
        print_lines("Features: computed once, of whole recordings")
    elif objective.keep_poses_on(fabric.device):
        print_lines(f"Poses: all in the memory of {fabric.device}")
    if state.started_from is not None:
        print_lines(f"Weights to use: {_describe_weights(state.old_share)}")
    if config.cuda_graphs:
        is_used = replays(state, config, fabric)
        unused = "not used, they need one GPU and no float16"
        print_lines(f"CUDA graphs: {'loss and gradients' if is_used else unused}")
    parameters = sum(p.numel() for p in state.model.parameters())
    steps = steps_in_epoch(objective.counted_frames, config, processes=processes)
    print_lines(
        *describe_model(
            config,
            unwrapped(state.model).features,
            parameters=parameters,
            steps=steps,
            processes=processes,
        )
    )
    if resume:
        resume_state(state, config, fabric)
    if not is_finished(config, epoch_scores(state.history)):
        settle_micro_batch(state, objective, config, fabric)
    train_epochs(state, objective, config=config, fabric=fabric, watcher=watcher)
    return TrainedRun(config, objective, tuple(state.history))


def _start(
    config: RunConfig, objective: Objective, fabric: Fabric, *, resume: bool
) -> TrainingState:
    """Return the state in which training begins, after pretraining if there is any.

    A pretrained state is saved at once: it took a while. Where the run has saved one,
    that will take its place.
    """
    place = state_path(config.checkpoint_dir)
    has_state = resume and in_first_process(fabric, place.is_file)
    pretrained = None
    if config.is_pretrained and not has_state:
        data = objective.data
        used = recordings_to_pretrain_on(data)
        recordings = [data.store.recordings[index] for index in used]
        print_lines(describe_pretraining(config.pretraining_steps, recordings))
        pretrained = pretrain(config, objective, fabric, used)
    state = start_state(config, objective.task, fabric, objective, pretrained)
    if pretrained is not None:
        in_first_process(
            fabric,
            lambda: save_state(config.checkpoint_dir, state_values(state, fabric), []),
        )
    return state


def _print_data(
    data: TrainingData, objective: Objective, counts: Sequence[ClassCount]
) -> None:
    """Print how many recordings are learned from, held out and left out."""
    learned, held_out = len(data.learned), len(data.held_out)
    print_lines(
        *describe_data(
            counts,
            unit=objective.counted_unit,
            learned=learned,
            held_out=held_out,
            left_out=len(data.store.recordings) - learned - held_out,
        )
    )


def _describe_weights(old_share: float) -> str:
    if not old_share:
        return "the new ones"
    return f"{old_share:g} x old + {1 - old_share:g} x new"


def _load_together(
    config: RunConfig, fabric: Fabric, *, skip_bad: bool
) -> TrainingData:
    """Let the first process prepare the data, then all of them load it."""
    loaded: list[TrainingData] = []
    in_first_process(
        fabric,
        lambda: loaded.append(load_training_data(config, skip_bad=skip_bad)),
    )
    # Machines that share no disk prepare their own store, which has a lock.
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
    save_epoch(objective, config, model, grown, is_best=True)
    write_history(config.checkpoint_dir, [grown])
    return (grown,)


def _begin(
    config: RunConfig,
    data: TrainingData,
    about_device: list[str],
    counts: Sequence[ClassCount],
    processes: int,
) -> None:
    """Start a run directory; an earlier run in its place is renamed."""
    run_dir = config.checkpoint_dir
    if kept := set_aside(run_dir):
        print_lines(f"{run_dir} held an earlier run, which was renamed to {kept}")
    recordings = data.store.recordings
    facts = {
        "device": about_device,
        "data": full_path(config.data_dir),
        "class_frames": [asdict(count) for count in counts],
        "learned": [recordings[i].name for i in data.learned],
        "held_out": [recordings[i].name for i in data.held_out],
        "trained_on": list(data.tracks(data.learned)),
        "validated_on": list(data.tracks(data.held_out)),
        "content": data.content(config),
        "windows_per_step": (None if config.is_grown else processes * config.windows),
    }
    document(run_dir, dump_config(config), facts)
