"""Lengths and products of vectors, from which features are calculated.

Dimension key: B batch, T time, P places; *x any axes; a last axis of 2 is (x, y).
A result that depends on a missing value is missing (NaN).
"""

import torch
from jaxtyping import Float
from torch import Tensor


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
