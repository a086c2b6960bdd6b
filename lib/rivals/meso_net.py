"""MesoNet: Meso-4 and MesoInception-4, small networks between pixels and meaning.

Afchar et al., "MesoNet: a Compact Facial Video Forgery Detection Network", WIFS 2018.
"""

import torch
import torch.nn.functional as F
from torch import nn

from lib.detectors import Detector, check_rgb, register

KINDS = ("meso4", "meso_inception4")


class MesoNet(Detector):
    """Meso-4 or MesoInception-4: rgb float (N, 3, size, size) in [0, 1] -> logits (N,), high = fake.

    kind: "meso4" or "meso_inception4"; size: side of the image, a multiple of 32, 256 in the paper.
    Raises ValueError for another kind or size. Counts with Keras' running statistics: 28,073 and 28,725.
    """

    def __init__(self, kind="meso4", size=256, drop_rate=0.5):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
        if size < 32 or size % 32:
            raise ValueError(f"size: the four poolings need a multiple of 32, has {size}")
        self.size = size
        if kind == "meso4":
            first, second = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), _conv5(8, 8)
            widths = (8, 8)
        else:
            first, second = Inception(3, (1, 4, 4, 2)), Inception(11, (2, 4, 4, 2))
            widths = (11, 12)
        self.features = nn.Sequential(
            first, _norm(widths[0]), nn.MaxPool2d(2),
            second, _norm(widths[1]), nn.MaxPool2d(2),
            _conv5(widths[1], 16), _norm(16), nn.MaxPool2d(2),
            _conv5(16, 16), _norm(16), nn.MaxPool2d(4),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(drop_rate),
            nn.Linear(16 * (size // 32) ** 2, 16),
            nn.LeakyReLU(0.1),
            nn.Dropout(drop_rate),
            nn.Linear(16, 1),
        )

    def forward(self, rgb):
        check_rgb(rgb, self.size)
        return self.classifier(self.features(rgb))[:, 0]


class Inception(nn.Module):
    """Four branches, each ending in a ReLU: 1x1; 1x1 then 3x3; the same with dilation 2; with dilation 3."""

    def __init__(self, in_channels, widths):
        super().__init__()
        point = [nn.Conv2d(in_channels, width, 1) for width in widths]
        self.branches = nn.ModuleList([nn.Sequential(point[0], nn.ReLU())])
        for dilation, (width, conv) in enumerate(zip(widths[1:], point[1:], strict=True), 1):
            wide = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            self.branches.append(nn.Sequential(conv, nn.ReLU(), wide, nn.ReLU()))

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def loss(model, batch):
    """Return the squared error of the probability, as the paper trains it; batch {"rgb", "label"}, 1 = fake."""
    return F.mse_loss(model(batch["rgb"]).sigmoid(), batch["label"].float())


@register("MesoNet", "pel", MesoNet, loss)
def options(size):
    return {"size": size}


def _conv5(in_channels, out_channels):
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 5, padding=2), nn.ReLU())


def _norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)  # Keras' defaults
