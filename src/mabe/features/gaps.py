"""Gaps in tracks: short ones are interpolated, others stay missing.

Dimension key: B batch, T time, P points (any axes); a last axis of 2 is (x, y).
A missing point is NaN in both coordinates.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mabe.runtime import tensors
from mabe.runtime.tensors import as_pairs, as_points


def bridge_gaps(
    poses_BTP2: Float[Tensor, "b t *p 2"], *, longest: int
) -> Float[Tensor, "b t *p 2"]:
    """Fill gaps of at most `longest` frames with a straight line between their ends.

    A gap at the edge of the window has only one end and stays missing.
    """
    if longest < 1:
        return poses_BTP2
    if not tensors.is_on_cpu(poses_BTP2):
        return _bridge(poses_BTP2, longest)
    points_BPT2 = poses_BTP2.movedim(1, -2).clone(memory_format=torch.contiguous_format)
    _bridge_runs(points_BPT2.view(-1, *points_BPT2.shape[-2:]), longest)
    return points_BPT2.movedim(-2, 1)


def count_tracked(
    poses_BTP2: Float[Tensor, "b t *p c"],
) -> Int[Tensor, "b *p"]:
    """Return the number of frames of its window in which each point is tracked."""
    # A sum over time takes half as long as `any` or `all`.
    return (~poses_BTP2[..., 0].isnan()).sum(dim=1)


def _bridge(
    poses_BTP2: Float[Tensor, "b t *p 2"], longest: int
) -> Float[Tensor, "b t *p 2"]:
    length = poses_BTP2.shape[1]
    tracked_BTP = ~poses_BTP2[..., 0].isnan()
    time_TP = torch.arange(length, device=poses_BTP2.device)
    time_TP = time_TP.view(-1, *[1] * (tracked_BTP.dim() - 2))
    before_BTP = torch.where(tracked_BTP, time_TP, -1).cummax(dim=1).values
    after_BTP = torch.where(tracked_BTP, time_TP, length).flip(1).cummin(dim=1).values
    after_BTP = after_BTP.flip(1)
    span_BTP = after_BTP - before_BTP
    fill_BTP = (
        ~tracked_BTP
        & (before_BTP >= 0)
        & (after_BTP < length)
        & (span_BTP <= longest + 1)
    )
    share_BTP = (time_TP - before_BTP) / span_BTP.clamp(min=1)
    start_BTP2 = at_times(poses_BTP2, before_BTP.clamp(min=0))
    end_BTP2 = at_times(poses_BTP2, after_BTP.clamp(max=length - 1))
    line_BTP2 = torch.lerp(start_BTP2, end_BTP2, share_BTP[..., None])
    return torch.where(fill_BTP[..., None], line_BTP2, poses_BTP2)


def _bridge_runs(points_NT2: Float[Tensor, "n t 2"], longest: int) -> None:
    """Do the same in place and gap by gap, so that the work grows with the gaps."""
    length = points_NT2.shape[1]
    points_M2 = points_NT2.view(-1, 2)
    missing_NT = points_NT2[..., 0].isnan()
    missing_NT &= ~missing_NT.all(dim=1, keepdim=True)
    place_K = missing_NT.view(-1).nonzero().squeeze(1)
    is_first_K = place_K.diff(prepend=place_K.new_full((1,), -2)) != 1
    is_first_K |= place_K % length == 0
    gap_K = is_first_K.cumsum(dim=0) - 1
    first_G = place_K[is_first_K]
    frames_G = gap_K.bincount(minlength=len(first_G))
    after_G = first_G + frames_G
    fill_G = (first_G % length > 0) & (after_G % length > 0) & (frames_G <= longest)
    filled_K = fill_G[gap_K]
    place_K, gap_K = place_K[filled_K], gap_K[filled_K]
    share_K = (place_K - first_G[gap_K] + 1) / (frames_G[gap_K] + 1)
    start_K2, end_K2 = points_M2[first_G[gap_K] - 1], points_M2[after_G[gap_K]]
    points_M2[place_K] = torch.lerp(start_K2, end_K2, share_K[:, None])


def at_times(
    points_BTP2: Float[Tensor, "b t *p 2"], time_BUP: Int[Tensor, "b u *p"]
) -> Float[Tensor, "b u *p 2"]:
    """Return the position of each point at some times of its own."""
    return as_points(as_pairs(points_BTP2).gather(1, time_BUP), points_BTP2.dtype)
