"""The epochs of a run: train, score, save, and stop when asked to.

The state is saved now and then within an epoch, before an epoch is scored, and after
it. So a run that is stopped at any moment repeats little when it is resumed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric

from mabe.config import RunConfig
from mabe.errors import StopRequested
from mabe.models.checkpoint import SUFFIX, Provenance
from mabe.models.input_contract import InputContract
from mabe.models.model import Model
from mabe.runtime.console import format_score, print_lines
from mabe.runtime.distributed import (
    any_of,
    in_first_process,
    wait_for_all,
)
from mabe.runtime.freed_memory import keeping_freed_memory
from mabe.runtime.object_storage import full_path
from mabe.runtime.stop_signals import noting_stops
from mabe.training.best_epoch import best_epoch, epoch_scores
from mabe.training.early_stopping import is_finished
from mabe.training.history import Epoch
from mabe.training.learning_rate import learning_rate
from mabe.training.objectives import (
    Objective,
)
from mabe.training.pretraining import recordings_to_pretrain_on
from mabe.training.progress import (
    epoch_bar,
    epoch_line,
    time_left,
)
from mabe.training.resume import state_values
from mabe.training.reuse import (
    joined_contract,
    joined_tracks,
    name_of_source,
    source_member,
)
from mabe.training.run_directory import (
    save_models,
    save_state,
)
from mabe.training.state import TrainingState, averaged_model
from mabe.training.teacher import load_teacher
from mabe.training.training_step import is_time_to_ask, steps_in_epoch, train_epoch

Watcher = Callable[[Sequence[Epoch]], None]
"""Called with a run's history after each epoch."""


@dataclass(frozen=True, slots=True)
class StateKeeper:
    """Saves the state of a run, also when it is asked to stop."""

    state: TrainingState
    fabric: Fabric
    run_dir: Path
    stop_asked: Callable[[], bool]

    def save(self) -> None:
        """Write the state to resume from, in the first process."""
        if self.fabric.is_global_zero:
            save_state(
                self.run_dir,
                state_values(self.state, self.fabric),
                self.state.history,
            )

    def stop_if_asked(self) -> None:
        """Save and raise `StopRequested` if one of the processes was asked to stop."""
        if any_of(self.fabric, self.stop_asked()):
            self.save()
            wait_for_all(self.fabric)  # the launcher ends all when one ends
            raise StopRequested(
                f"stopped at step {self.state.step}; --resume continues from there"
            )


def train_epochs(
    state: TrainingState,
    objective: Objective,
    *,
    config: RunConfig,
    fabric: Fabric,
    watcher: Watcher | None,
) -> None:
    """Train the epochs that are left, and print the best one."""
    steps = steps_in_epoch(
        objective.counted_frames, config, processes=fabric.world_size
    )
    on_cpu = fabric.device.type == "cpu"
    with keeping_freed_memory(wanted=on_cpu), noting_stops() as stop_asked:
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
    best, epochs = best_epoch(state.history), len(state.history)
    print_lines(
        f"No score: nothing was held out; the model is of the last epoch, {epochs}"
        if best.macro_f1 is None
        else f"✓ Best macro F1 on held-out recordings: {format_score(best.macro_f1)} "
        f"(epoch {best.number} of {epochs})",
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
        if is_time_to_ask(state.step, fabric):
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
    """Let the first process score the epoch and write its models; add it to all."""
    record = in_first_process(
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
    save_epoch(objective, config, model, epoch, is_best=is_best)
    return epoch


def save_epoch(
    objective: Objective,
    config: RunConfig,
    model: Model,
    epoch: Epoch,
    *,
    is_best: bool,
) -> None:
    """Write the model of an epoch, with what it was trained on."""
    data, member = objective.data, source_member(config)
    learned, held_out = data.tracks(data.learned), data.tracks(data.held_out)
    old = member.provenance if member else None
    teacher = load_teacher(config) if config.teacher else None
    learned = joined_tracks(learned, teacher.known_tracks if teacher else ())
    trained_on = joined_tracks(learned, old.trained_on if old else ())
    poses_of = recordings_to_pretrain_on(data) if config.is_pretrained else []
    earlier = (
        *(old.pretrained_on if old else ()),
        *(teacher.checkpoint.pretrained_on if teacher else ()),
    )
    contract = InputContract.of([data.store.recordings[i] for i in data.learned])
    provenance = Provenance(
        epoch=epoch.number,
        step=epoch.step,
        trained_on=trained_on,
        validated_on=joined_tracks(
            held_out, old.validated_on if old else (), without=trained_on
        ),
        pretrained_on=joined_tracks(data.tracks(poses_of), earlier, without=trained_on),
        validation=epoch.scores.to_json(),
        contract=joined_contract(contract, member),
        data_dir=full_path(config.data_dir),
        started_from=name_of_source(config),
        distilled_from=teacher.name if teacher else None,
        author=config.author,
        licence=config.licence,
        cite=config.cite,
    )
    save_models(
        config.checkpoint_dir,
        model,
        provenance,
        is_best=is_best,
        save_freq=config.save_freq,
    )
