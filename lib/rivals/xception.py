"""Xception, the baseline of FaceForensics++ (Roessler et al., ICCV 2019)."""

import torch.nn.functional as F
from torch import nn

from lib.backbones.imagenet import normalise
from lib.backbones.xception import Trunk
from lib.detectors import Detector, check_rgb, register


class Xception(Detector):
    """Xception as a detector: rgb float (N, 3, H, W) in [0, 1] -> logits (N,), high = fake; 299 pixels in the paper.

    pretrained, width and errors: as in Trunk.
    """

    def __init__(self, pretrained=True, width=1.0, drop_rate=0.0):
        super().__init__()
        self.trunk = Trunk(3, pretrained, width)
        self.dropout = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(self.trunk.num_features, 1)

    def forward(self, rgb):
        check_rgb(rgb)
        return self.classifier(self.dropout(self.trunk(normalise(rgb, self.trunk)).mean((2, 3))))[:, 0]


def loss(model, batch):
    """Return the binary cross-entropy of a batch {"rgb": (N, 3, H, W), "label": (N,), 1 = fake}; a scalar tensor."""
    return F.binary_cross_entropy_with_logits(model(batch["rgb"]), batch["label"].float())


@register("Xception", "pel", Xception, loss)
def options(pel_detectors):
    return {"pretrained": pel_detectors.pretrained, "width": pel_detectors.width}
