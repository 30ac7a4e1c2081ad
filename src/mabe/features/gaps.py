"""Gaps in tracks: what is bridged, and what stays missing.

Dimension key: B batch, T time, A animal, K keypoint; a last axis of 2 is (x, y).
A missing point is NaN in both coordinates. This is the one place where a missing
point gets a made-up position, and only where the gap is short.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def bridge_gaps(
    poses_BTAK2: Float[Tensor, "b t a k 2"], *, longest: int
) -> Float[Tensor, "b t a k 2"]:
    """Fill gaps of at most `longest` frames with a straight line between their ends.

    A gap that touches the window's edge has only one end and stays missing.
    """
    if longest < 1:
        return poses_BTAK2
    length = poses_BTAK2.shape[1]
    seen_BTAK = poses_BTAK2[..., 0].isfinite()
    time_T111 = torch.arange(length, device=poses_BTAK2.device)[:, None, None]
    before_BTAK = torch.where(seen_BTAK, time_T111, -1).cummax(dim=1).values
    after_BTAK = torch.where(seen_BTAK, time_T111, length).flip(1).cummin(1).values
    after_BTAK = after_BTAK.flip(1)
    span_BTAK = after_BTAK - before_BTAK
    fill_BTAK = (
        ~seen_BTAK
        & (before_BTAK >= 0)
        & (after_BTAK < length)
        & (span_BTAK <= longest + 1)
    )
    share_BTAK = (time_T111 - before_BTAK) / span_BTAK.clamp(min=1)
    start_BTAK2 = _take(poses_BTAK2, before_BTAK.clamp(min=0))
    end_BTAK2 = _take(poses_BTAK2, after_BTAK.clamp(max=length - 1))
    line_BTAK2 = torch.lerp(start_BTAK2, end_BTAK2, share_BTAK[..., None])
    return torch.where(fill_BTAK[..., None], line_BTAK2, poses_BTAK2)


def _take(poses_BTAK2: Tensor, time_BTAK: Tensor) -> Tensor:
    index_BTAK2 = time_BTAK[..., None].expand(*time_BTAK.shape, 2)
    return poses_BTAK2.gather(1, index_BTAK2)
