"""Heat maps from maps of evidence, and how much of the heat lies inside a mask."""

import torch
from torch.nn import functional as F


def to_heat(maps, size):
    """Scale maps (N, h, w) to [0,1] each, least to most evidence for fake, and enlarge them to (N, size, size).

    A constant map becomes 0 everywhere.
    """
    heat = F.interpolate(maps[:, None].float(), size=(size, size), mode="bilinear", align_corners=False)[:, 0]
    low, high = heat.amin((1, 2), keepdim=True), heat.amax((1, 2), keepdim=True)
    return (heat - low) / (high - low).clamp_min(torch.finfo(heat.dtype).tiny)


def share_inside(mask, heat):
    """Return the share (N,) in [0,1] of a heat map that lies inside a mask.

    mask: bool or [0,1] (N,H,W), 1 = manipulated; heat: (N,H,W) >= 0. A constant map gets the share of the area that the
    mask covers, a map of zeros NaN. Raises ValueError if the shapes differ.
    """
    if mask.shape != heat.shape:
        raise ValueError(f"mask is {tuple(mask.shape)}, heat {tuple(heat.shape)}: bring them to one size")
    return (heat * mask).sum((1, 2)) / heat.sum((1, 2))
