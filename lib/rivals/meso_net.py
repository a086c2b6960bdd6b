"""MesoNet: Meso-4 and MesoInception-4, small networks for structures between pixel noise and whole faces.

Afchar et al., "MesoNet: a Compact Facial Video Forgery Detection Network", WIFS 2018.
"""

import torch
import torch.nn.functional as F
from torch import nn

from lib.detectors import Detector, check_rgb, register

KINDS = ("meso4", "meso_inception4")


class MesoNet(Detector):
    """Meso-4 or MesoInception-4: rgb float (N, 3, size, size) in [0, 1] -> logits (N,), high = fake.

    kind: "meso4" or "meso_inception4" (28,073 and 28,725 numbers with the running statistics, as Keras counts).
    size: a multiple of 32, 256 in the paper. Raises ValueError for another kind or size.
    """

    def __init__(self, kind="meso4", size=256, drop_rate=0.5):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
        if size < 32 or size % 32:
            raise ValueError(f"size: the four poolings need a multiple of 32, has {size}")
        self.size = size
        if kind == "meso4":
            layers, widths = [_conv(3, 8, 3), _conv(8, 8)], (8, 8, 16, 16)
        else:
            layers, widths = [Inception(3, (1, 4, 4, 2)), Inception(11, (2, 4, 4, 2))], (11, 12, 16, 16)
        layers += [_conv(widths[1], 16), _conv(16, 16)]
        self.features = nn.Sequential()
        for layer, width, pool in zip(layers, widths, (2, 2, 2, 4), strict=True):
            self.features.extend(
                [layer, nn.BatchNorm2d(width, eps=1e-3, momentum=0.01), nn.MaxPool2d(pool)]
            )  # as in Keras
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(drop_rate), nn.Linear(16 * (size // 32) ** 2, 16),
                                        nn.LeakyReLU(0.1), nn.Dropout(drop_rate), nn.Linear(16, 1))  # fmt: skip

    def forward(self, rgb):
        check_rgb(rgb, self.size)
        return self.classifier(self.features(rgb))[:, 0]


class Inception(nn.Module):
    """Four branches, each ending in a ReLU: 1x1; 1x1 then 3x3; the same with dilation 2; with dilation 3."""

    def __init__(self, in_channels, widths):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(nn.Conv2d(in_channels, width, 1), nn.ReLU()) for width in widths)
        for dilation, (width, branch) in enumerate(zip(widths[1:], self.branches[1:], strict=True), 1):
            branch.extend([nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation), nn.ReLU()])

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def loss(model, batch):
    """Return the squared error of the probability, as the paper trains it; batch {"rgb", "label"}, 1 = fake."""
    return F.mse_loss(model(batch["rgb"]).sigmoid(), batch["label"].float())


@register("MesoNet", "pel", MesoNet, loss)
def options(size):
    return {"size": size}


def _conv(in_channels, out_channels, size=5):
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, size, padding="same"), nn.ReLU())
