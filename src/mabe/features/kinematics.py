"""Speeds (changes per second) and times, from which features are calculated.

Dimension key: B batch, T time; *x any axes. A result that depends on a missing value is
missing (NaN).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def change_over(
    values_BTX: Float[Tensor, "b t *x"], span_s: float, rate_fps: float
) -> Float[Tensor, "b t *x"]:
    """Return the change per second over a span around each frame.

    Spans are cut at the ends of a window. NaN where either end of a span is missing.
    """
    half = span_frames(span_s / 2, rate_fps)
    last = values_BTX.shape[1] - 1
    time_T = torch.arange(last + 1, device=values_BTX.device)
    from_T, to_T = (time_T - half).clamp(min=0), (time_T + half).clamp(max=last)
    seconds_T = ((to_T - from_T) / rate_fps).clamp(min=1 / rate_fps)
    change_BTX = values_BTX[:, to_T] - values_BTX[:, from_T]
    return change_BTX / seconds_T.view(1, -1, *[1] * (values_BTX.dim() - 2))


def span_frames(span_s: float, rate_fps: float) -> int:
    """Return the number of frames in a span, at least one."""
    return max(1, round(span_s * rate_fps))


def shifted(
    values_BTX: Float[Tensor, "b t *x"], frames: int
) -> Float[Tensor, "b t *x"]:
    """Return the values some frames earlier; at a window's start, its first value."""
    time_T = torch.arange(values_BTX.shape[1], device=values_BTX.device)
    return values_BTX[:, (time_T - frames).clamp(min=0)]


def seconds_since(
    event_BT: Bool[Tensor, "b t"], rate_fps: float, *, longest_s: float
) -> Float[Tensor, "b t"]:
    """Return the time since the last true frame, at most `longest_s`."""
    time_T = torch.arange(event_BT.shape[1], device=event_BT.device)
    long_ago = -int(longest_s * rate_fps) - 1
    last_BT = torch.where(event_BT, time_T, long_ago).cummax(dim=1).values
    return ((time_T - last_BT) / rate_fps).clamp(max=longest_s)


def change_per_second(
    values: Float[Tensor, "b t *rest"], rate_fps: float
) -> Float[Tensor, "b t *rest"]:
    """Return the time derivative: central, or one-sided at an edge or a gap.

    NaN for a missing value, and for one whose two neighbours are both missing.
    """
    step = values.diff(dim=1)
    none = values.new_full((len(values), 1, *values.shape[2:]), torch.nan)
    backward = torch.cat([none, step], dim=1)
    forward = torch.cat([step, none], dim=1)
    central = (backward + forward) / 2
    one_sided = torch.where(backward.isnan(), forward, backward)
    return torch.where(central.isnan(), one_sided, central) * rate_fps
