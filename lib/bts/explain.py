"""Where the residual detectors found evidence for fake, and where the re-synthesis fails.

Grad-CAM: Selvaraju et al., ICCV 2017 (the map of Zhou et al., CVPR 2016, where a pooled linear layer ends the network).
"""

import math

import torch
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from lib.backbones.resnet import FAKE

SMALLEST = 4  # pixels a side; a coarser map does not tell eyes from mouth


SMOOTHING = 1.5  # pixels: deviation of the Gaussian that calms a map of single pixels


def residual_maps(model, rgb):
    """Return {"pixel" or "stage i": (N, h, w)} of the residual detectors by Grad-CAM.

    Read at the deepest layer whose map still has SMALLEST pixels a side, and at the residual itself where none has: in
    stage 5 the last map of the network is 2x2 for a picture of 1024 pixels, which shows no place at all.
    """
    with torch.no_grad():
        residuals = model.residuals(rgb)
    parts = zip(_stage_names(model), model.detectors, residuals, strict=True)
    return {name: grad_cam(detector, residual) for name, detector, residual in parts}


@torch.no_grad()
def failure_maps(model, rgb):
    """Return how much of each pixel the re-synthesis misses: {"pixel" or "stage i": float (N,H,W) >= 0}.

    model: BeyondTheSpectrum; rgb: (N,3,H,W) in [0,1], H and W multiples of 4 of any size, not only that of its
    training. The residuals that its detectors read, averaged over the channels: of the pixels in units of rgb, smoothed
    by SMOOTHING; of a perceptual stage in units of its features, enlarged bilinearly. Not evidence for fake, of which
    `activation_maps` tells: hair and edges leave much in every photograph. Source: BTS Eq. 2 and 4, Fig. 3.
    """
    maps = {}
    for name, residual in zip(_stage_names(model), model.residuals(rgb), strict=True):
        mean = residual.mean(1, keepdim=True)
        if name == "pixel":
            mean = gaussian_blur(mean, 2 * math.ceil(3 * SMOOTHING) + 1, SMOOTHING)
        else:
            mean = F.interpolate(mean, size=rgb.shape[2:], mode="bilinear", align_corners=False)
        maps[name] = mean[:, 0]
    return maps


def _stage_names(model):
    return ["pixel" if stage == 0 else f"stage {stage}" for stage in model.stages]


def grad_cam(detector, residual):
    """Return (N, h, w): the maps of a layer, weighted by the mean gradient of logit(fake) - logit(real).

    detector: a ResidualDetector in eval mode; residual: (N,C,H,W). The difference of the logits, because the softmax
    sees nothing else.
    """
    maps = {"input": residual.detach().requires_grad_()}
    layers = {name: detector.get_submodule(name) for name in ("layer1", "layer2", "layer3", "layer4")}
    hooks = [
        layer.register_forward_hook(lambda _, __, output, name=name: maps.update({name: output}))
        for name, layer in layers.items()
    ]
    try:
        with torch.enable_grad():
            logits = detector(maps["input"])
    finally:
        for hook in hooks:
            hook.remove()
    large = [x for x in maps.values() if min(x.shape[2:]) >= SMALLEST]
    chosen = large[-1] if large else maps["input"]
    evidence = (logits[:, FAKE] - logits[:, 1 - FAKE]).sum()
    (gradient,) = torch.autograd.grad(evidence, chosen)
    return (gradient.mean((2, 3), keepdim=True) * chosen).sum(1).detach()
