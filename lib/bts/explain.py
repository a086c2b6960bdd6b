"""Maps of the pixels at which the re-synthesis fails."""

import math

import torch
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

SMOOTHING = 1.5  # pixels: standard deviation of the Gaussian that smooths the map of the pixel stage


@torch.no_grad()
def failure_maps(model, rgb):
    """Return how much of each pixel the re-synthesis misses: {"pixel" or "stage i": float (N,H,W) >= 0}.

    model: BeyondTheSpectrum; rgb: (N,3,H,W) in [0,1], H and W any multiples of `factor`, not only the training size.
    A map is the residual of its stage, averaged over the channels. "pixel" is in units of rgb and smoothed by
    SMOOTHING; a perceptual stage is in units of its features and enlarged bilinearly. The maps are no evidence for fake
    (`activation_maps` gives that): hair and edges leave large residuals in every photograph, too.
    Source: BTS Eq. 2 and 4, Fig. 3.
    """
    maps = {}
    for name, residual in zip(model.stage_names, model.residuals(rgb), strict=True):
        mean = residual.mean(1, keepdim=True)
        if name == "pixel":
            mean = gaussian_blur(mean, 2 * math.ceil(3 * SMOOTHING) + 1, SMOOTHING)
        else:
            mean = F.interpolate(mean, size=rgb.shape[2:], mode="bilinear", align_corners=False)
        maps[name] = mean[:, 0]
    return maps
