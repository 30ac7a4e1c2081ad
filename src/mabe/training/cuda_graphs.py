"""Loss and gradients of a step as a CUDA graph: recorded once, then replayed.

The host takes longer to launch the hundreds of kernels of a step than a GPU takes to
compute them for some hundred windows; a graph is one launch. Recorded are features,
network, loss and gradients of one batch, at fixed places in memory. Drawing, reading
and changing windows, the optimizer and the average are done as without it: they are
few kernels, and depend on numbers of the host. torch's generator is seeded before each
replay as before each step, so losses are meant to be those without a graph.

Method: "CUDA Graphs" in PyTorch's notes on CUDA semantics (capture of forward and
backward, with gradients that keep their memory).
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mabe.training.objectives import Targets

Work = Callable[[], None]
Recorder = Callable[[Work], Work]
"""Returns what does some work again, on the memory that it was recorded with."""

WARM_UPS = 3
"""Times that work is done before it is recorded, so that libraries are set up."""


def record_on_gpu(work: Work) -> Work:
    """Return the replay of work that only a GPU does.

    Raises what the work raises, such as lack of memory.
    """
    usual, side = torch.cuda.current_stream(), torch.cuda.Stream()
    side.wait_stream(usual)
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            work()
    usual.wait_stream(side)
    graph, failures = torch.cuda.CUDAGraph(), list[RuntimeError]()
    try:
        with torch.cuda.graph(graph):
            try:
                work()
            except RuntimeError as error:
                failures.append(error)
                raise
    except RuntimeError:
        # Ending a recording that failed raises an error of its own, and leaves its
        # stream in use.
        torch.cuda.set_stream(usual)
        if failures:
            raise failures[0] from None
        raise
    return graph.replay


class RecordedBackward:
    """Loss and gradients of batches of one shape.

    `backward` computes gradients from a loss, as `loss.backward` does.
    """

    def __init__(
        self,
        model: nn.Module,
        shown: Tensor,
        targets: Targets,
        *,
        backward: Callable[[Tensor], None],
        record: Recorder,
    ) -> None:
        self._model = model
        self._shown = shown.clone()
        self._targets = _cloned(targets)
        self._backward = backward
        self._learning = [each for each in model.parameters() if each.requires_grad]
        self._loss = torch.zeros((), device=shown.device)
        self._replay = record(self._work)
        self._gradients = [each.grad for each in self._learning]

    def takes(self, shown: Tensor, targets: Targets) -> bool:
        """Return whether a batch has the shape of what was recorded."""
        if type(targets) is not type(self._targets):
            return False
        both = zip(
            (shown, *_tensors(targets)),
            (self._shown, *_tensors(self._targets)),
            strict=True,
        )
        return all(
            new.shape == kept.shape and new.dtype == kept.dtype for new, kept in both
        )

    def __call__(self, shown: Tensor, targets: Targets) -> Float[Tensor, ""]:
        """Set the gradients of the mean loss of a batch, and return that loss."""
        self._shown.copy_(shown)
        kept = _tensors(self._targets)
        for place, value in zip(kept, _tensors(targets), strict=True):
            place.copy_(value)
        self._replay()
        for parameter, gradient in zip(self._learning, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss.clone()

    def _work(self) -> None:
        for parameter in self._learning:
            parameter.grad = None  # so that its gradient is written anew
        total = self._targets.total().clamp(min=1e-6)
        loss = self._targets.loss(self._model, self._shown) / total
        self._backward(loss)
        self._loss.copy_(loss.detach())


def _tensors(targets: Any) -> list[Tensor]:
    """Return what a batch's targets consist of, which is tensors alone."""
    return [getattr(targets, each.name) for each in fields(targets)]


def _cloned(targets: Any) -> Targets:
    names = [each.name for each in fields(targets)]
    copies = [each.clone() for each in _tensors(targets)]
    return replace(targets, **dict(zip(names, copies, strict=True)))
