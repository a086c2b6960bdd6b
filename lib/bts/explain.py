"""Where the re-synthesis fails."""

import math

import torch
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

SMOOTHING = 1.5  # pixels: deviation of the Gaussian that calms a map of single pixels


@torch.no_grad()
def failure_maps(model, rgb):
    """Return how much of each pixel the re-synthesis misses: {"pixel" or "stage i": float (N,H,W) >= 0}.

    model: BeyondTheSpectrum; rgb: (N,3,H,W) in [0,1], H and W multiples of 4 of any size, not only that of its
    training. The residuals that its detectors read, averaged over the channels: of the pixels in units of rgb, smoothed
    by SMOOTHING; of a perceptual stage in units of its features, enlarged bilinearly. Not evidence for fake, of which
    `activation_maps` tells: hair and edges leave much in every photograph. Source: BTS Eq. 2 and 4, Fig. 3.
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
