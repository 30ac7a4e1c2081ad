"""Changes, times and lengths, from which features are calculated.

Dimension key: B batch, T time, P places; *x any axes; a last axis of 2 is (x, y).
A result that depends on a missing value is missing (NaN).
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


def length(vectors_2: Float[Tensor, "*x 2"]) -> Float[Tensor, "*x"]:
    """Return the lengths of vectors."""
    return torch.hypot(vectors_2[..., 0], vectors_2[..., 1])


def dot(a_2: Float[Tensor, "*x 2"], b_2: Float[Tensor, "*x 2"]) -> Float[Tensor, "*x"]:
    """Return the dot products: the part of `a` along `b`, times the length of `b`."""
    return a_2[..., 0] * b_2[..., 0] + a_2[..., 1] * b_2[..., 1]


def cross(
    a_2: Float[Tensor, "*x 2"], b_2: Float[Tensor, "*x 2"]
) -> Float[Tensor, "*x"]:
    """Return the cross products: the part of `b` to the left of `a`, times |a|."""
    return a_2[..., 0] * b_2[..., 1] - a_2[..., 1] * b_2[..., 0]


def least(values_BTP: Float[Tensor, "*x p"]) -> Float[Tensor, "*x"]:
    """Return the smallest of the values that are not missing, NaN where all are."""
    missing_BTP = values_BTP.isnan()
    least_BT = values_BTP.masked_fill(missing_BTP, torch.inf).amin(dim=-1)
    return least_BT.masked_fill(missing_BTP.all(dim=-1), torch.nan)
