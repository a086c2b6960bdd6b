"""ADD-Net (2D): Xception that looks where the face and its organs are.

Zi et al., "WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection", ACM MM 2020. Its code was never
released: the five places of the mask are those of its figure; lib/rivals/add_net_masks.py draws the mask.
"""

import torch.nn.functional as F

from lib.detectors import check_rgb, register
from lib.rivals import xception
from lib.rivals.add_net_masks import Masked

MASKED_PARTS = 4  # the stem and entry blocks 1, 2, 3; the image itself is the fifth place


class ADDNet(xception.Xception):
    """ADDNet-2D: rgb float (N, 3, H, W) and mask (N, 1, H, W), both in [0, 1] -> logits (N,), high = fake.

    The mask, averaged down to each size, multiplies the image and the maps of the stem and of blocks 1, 2 and 3.
    Without a mask it is Xception. pretrained, width: as in lib.backbones.xception.
    """

    inputs = ("rgb", "mask")

    def forward(self, rgb, mask=None):
        check_rgb(rgb)
        shape = (len(rgb), 1, *rgb.shape[2:])
        if mask is not None and mask.shape != shape:
            raise ValueError(f"mask: needs shape {shape}, has {tuple(mask.shape)}")
        x = self._masked(2 * rgb - 1, mask)
        for index, part in enumerate(self.trunk.parts()):
            x = part(x)
            if index < MASKED_PARTS:
                x = self._masked(x, mask)
        return self.classifier(self.dropout(x.mean((2, 3))))[:, 0]

    @staticmethod
    def _masked(x, mask):
        return x if mask is None else x * F.adaptive_avg_pool2d(mask, x.shape[2:])


def loss(model, batch):
    """Return the binary cross-entropy of a batch {"rgb", "mask" (may be missing), "label"}, 1 = fake; a scalar."""
    logits = model(batch["rgb"], batch.get("mask"))
    return F.binary_cross_entropy_with_logits(logits, batch["label"].float())


register("Add-Net", "pel", ADDNet, loss, items=lambda images, model: Masked(images))(xception.options)
