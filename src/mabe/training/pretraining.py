"""Pretraining: a network learns to predict features that are hidden from it.

In each window some spans of frames are hidden, and the network predicts their features
from the frames around them, which needs no labels. Its layers, but for the heads, are
then the start of the training with labels. Recordings with and without labels are used,
but none that is held out and none that has to stay together with one of these: so
scores are of recordings of which the network knew nothing.

Method: masked modelling, Devlin et al. 2019, *BERT*; on poses of mice, Stoffl et al.
2024, *Elucidating the hierarchical nature of behavior with masked autoencoders*.
Dimension key: B batch, T time, C channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from mabe.config import RunConfig
from mabe.data.pair_windows import PairSampler
from mabe.data.scene_windows import WindowSampler
from mabe.data.splits import group_keys
from mabe.errors import StopRequested
from mabe.models.model import build_model
from mabe.models.span_predictor import SpanPredictor
from mabe.runtime.console import format_score, progress_bar
from mabe.runtime.distributed import any_of
from mabe.runtime.freed_memory import keeping_freed_memory
from mabe.runtime.stop_signals import noting_stops
from mabe.runtime.tensors import to_device
from mabe.training.learning_rate import learning_rate
from mabe.training.objectives import Objective, TrainingData
from mabe.training.objectives.base import AnyBatch
from mabe.training.seeds import initial_seed
from mabe.training.state import fit_scaling, inner_module, state_of
from mabe.training.training_step import (
    draw_and_take_step,
    is_time_to_ask,
    settle_micro_batch,
)

SPAN_EVERY_S = 5.75
"""A window has one hidden span for so much time: eight in 46 s, which hide 38 %."""
SPAN_S = (0.5, 5.0)
"""Shortest and longest of them; none is longer than a quarter of its window. In a
shorter one the frames beside it would be nearly the same."""
MOST_FRAMES = 1_000_000
"""Recordings of about so many are used: features of all of them are computed first."""
WARM_UP_SHARE = 0.065
"""Share of the steps over which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class HiddenBatch:
    """Windows, and which frames of them are hidden."""

    windows: AnyBatch
    hidden_BT: Bool[np.ndarray, "b t"]

    @property
    def poses(self) -> Any:
        """What the windows show."""
        return self.windows.poses


@dataclass(frozen=True, slots=True)
class HiddenFrames:
    """The targets of a batch: the features of the hidden frames themselves."""

    hidden_BT: Bool[Tensor, "b t"]
    view: tuple[Tensor, ...]
    """What the model's `forward` gets beside poses."""

    def split(self, windows: int) -> list["HiddenFrames"]:
        """Return pieces of at most so many windows."""
        pieces = zip(
            self.hidden_BT.split(windows),
            *(each.split(windows) for each in self.view),
            strict=True,
        )
        return [HiddenFrames(hidden, tuple(view)) for hidden, *view in pieces]

    def total(self) -> Float[Tensor, ""]:
        """Return the number of hidden frames."""
        return self.hidden_BT.sum().float()

    def loss(self, model: nn.Module, poses: Tensor) -> Float[Tensor, ""]:
        """Return the summed loss of hidden frames: the mean over their features.

        It is squared where a prediction is less than 1 off, and linear beyond (a scaled
        feature is mostly between -1 and 1).
        """
        predicted_BTC, truth_BTC = model(poses, self.hidden_BT, *self.view)
        loss_BTC = F.smooth_l1_loss(predicted_BTC, truth_BTC, reduction="none")
        return (loss_BTC.mean(dim=2) * self.hidden_BT).sum()


@dataclass(frozen=True, slots=True)
class HiddenSpans:
    """Windows of some recordings in which spans are hidden, to learn from."""

    objective: Objective
    sampler: WindowSampler | PairSampler

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> HiddenBatch:
        """Draw windows with hidden spans, and read one's own."""
        config = self.objective.config
        drawn = self.sampler.draw(rng, windows, stretch, own)
        hidden_BT = draw_spans(
            rng, windows, config.sequence_length, rate_fps=config.fps
        )[own]
        first_class_BT = drawn.labels.reshape(*hidden_BT.shape, -1)[..., 0]
        is_inside_BT = first_class_BT >= 0  # and not after the end of a recording
        return HiddenBatch(drawn, hidden_BT & is_inside_BT)

    def targets(self, batch: HiddenBatch, device: torch.device) -> HiddenFrames:
        """Return which frames are hidden, on the device."""
        return HiddenFrames(
            to_device(batch.hidden_BT, device),
            self.objective.view_of(batch.windows, device),
        )


def draw_spans(
    rng: np.random.Generator, windows: int, length: int, *, rate_fps: float
) -> Bool[np.ndarray, "windows length"]:
    """Return which frames of windows are hidden: spans, which may overlap."""
    hidden = np.zeros((windows, length), bool)
    spans = max(1, round(length / rate_fps / SPAN_EVERY_S))
    most = max(1, length // 4)
    low, high = (min(most, max(1, round(each * rate_fps))) for each in SPAN_S)
    for window in hidden:
        for _ in range(spans):
            span = int(rng.integers(low, high + 1))
            start = int(rng.integers(0, length - span + 1))
            window[start : start + span] = True
    return hidden


def recordings_to_pretrain_on(data: TrainingData) -> list[int]:
    """Return the recordings of a store whose poses a network is pretrained on.

    Those that are learned from; then others in a fixed random order, up to
    `MOST_FRAMES`. None is held out, or has to stay together with one that is. With
    `max_sequences` no labelled recording beyond these is used.
    """
    recordings, by = data.store.recordings, data.config.split_by
    kept_out = {key for i in data.held_out for key in group_keys(recordings[i], by)}
    learned = [index for index in data.learned if recordings[index].length]
    is_learned = set(data.learned)
    others = [
        index
        for index in np.random.default_rng(0).permutation(len(recordings)).tolist()
        if recordings[index].length
        and index not in is_learned
        and kept_out.isdisjoint(group_keys(recordings[index], by))
        and not (data.config.max_sequences and recordings[index].has_labels)
    ]
    frames = np.cumsum([recordings[index].length for index in (*learned, *others)])
    fitting = int(np.searchsorted(frames, MOST_FRAMES, side="right"))
    return sorted([*learned, *others][: max(len(learned), fitting)])


def pretrain(
    config: RunConfig,
    objective: Objective,
    fabric: Fabric,
    recordings: Sequence[int],
) -> SpanPredictor:
    """Return a network that learned from the poses of some recordings.

    Raises `StopRequested` after Ctrl-C; nothing is kept then.
    """
    torch.manual_seed(initial_seed(config.seed))
    model = build_model(config.model, objective.task)
    spans = HiddenSpans(objective, objective.sample_poses(model, recordings))
    fit_scaling(model, spans, seed=config.seed)
    own = config.changed(
        cuda_graphs=False,
        scheduler="cosine",
        epochs=1,
        warmup_epochs=WARM_UP_SHARE,
    )
    state = state_of(SpanPredictor(model), own, fabric)
    settle_micro_batch(state, spans, own, fabric)
    steps = config.pretraining_steps
    bar = progress_bar(total=steps, desc="Pretraining", unit="batch")
    on_cpu = fabric.device.type == "cpu"
    with bar, keeping_freed_memory(wanted=on_cpu), noting_stops() as stop_asked:
        while state.step < steps:
            draw_and_take_step(
                state,
                spans,
                config=own,
                fabric=fabric,
                learning_rate=learning_rate(
                    own, step=state.step, steps_per_epoch=steps, scores=[]
                ),
            )
            bar.update()
            bar.set_postfix_str(f"loss {format_score(state.losses.last)}")
            asks = is_time_to_ask(state.step, fabric)
            if asks and any_of(fabric, stop_asked()):
                raise StopRequested("stopped in pretraining; --resume begins it again")
    state.losses.read_all()
    predictor = inner_module(state.model)
    assert isinstance(predictor, SpanPredictor)
    return predictor
