"""The ResNet-50 by which the released code of Beyond the Spectrum judges a residual, and Grad-CAM: where it looks.

Grad-CAM: Selvaraju et al., ICCV 2017. For a network that ends in pooling and one linear layer it is the map of Zhou et
al., CVPR 2016.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import Bottleneck

from lib.detectors import FAKE

SMALLEST = 4  # pixels a side of a map; a coarser one does not tell eyes from mouth


class ResidualDetector(nn.Module):
    """C_i of Eq. 4: the released ResNet-50, with a stem of three 3x3 convolutions and stride 1 in layer3 and layer4.

    residual: (N,in_channels,H,W) >= 0. Returns logits (N,2): real, fake. `width` and `layers` shrink it.
    The released classifiers have real = 1: swap the rows of `fc` to load one.
    Names of the weights, strides and initialisation: models/resnet.py of SSAW14/BeyondtheSpectrum.
    """

    def __init__(self, in_channels=3, layers=(3, 4, 6, 3), width=64):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
        )  # fmt: skip
        self.bn1 = nn.BatchNorm2d(2 * width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(2 * width, width, layers[0], stride=2)
        self.layer2 = _layer(4 * width, 2 * width, layers[1], stride=2)
        self.layer3 = _layer(8 * width, 4 * width, layers[2], stride=1)
        self.layer4 = _layer(16 * width, 8 * width, layers[3], stride=1)
        self.fc = nn.Linear(32 * width, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=math.sqrt(2 / module.weight[:, 0].numel()))

    def forward(self, residual):
        x = self.maxpool(F.relu(self.bn1(self.conv1(residual))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


def image_loss(model, batch):
    """Return the cross-entropy of a network that reads the image itself, rgb -> logits (N,2)."""
    return F.cross_entropy(model(batch["rgb"]), batch["label"].long())


def grad_cam(detector, residual):
    """Return (N, h, w): the maps of a layer, weighted by the mean gradient of logit(fake) - logit(real).

    detector: a ResNet in eval mode, with layer1 .. layer4 and two logits; residual: its input (N,C,H,W). The difference
    of the logits is taken because the softmax depends on it alone. The layer is the deepest one whose map has at least
    SMALLEST pixels a side, else the input itself: for a picture of 1024 pixels the last map of stage 5 is 2x2, which
    shows no place at all.
    """
    maps = [residual.detach().requires_grad_()]
    layers = (detector.layer1, detector.layer2, detector.layer3, detector.layer4)
    hooks = [layer.register_forward_hook(lambda _, __, output: maps.append(output)) for layer in layers]
    try:
        with torch.enable_grad():
            logits = detector(maps[0])
    finally:
        for hook in hooks:
            hook.remove()
    chosen = next((x for x in maps[::-1] if min(x.shape[2:]) >= SMALLEST), maps[0])
    evidence = (logits[:, FAKE] - logits[:, 1 - FAKE]).sum()
    (gradient,) = torch.autograd.grad(evidence, chosen)
    return (gradient.mean((2, 3), keepdim=True) * chosen).sum(1).detach()


def _layer(in_channels, planes, blocks, stride):
    shortcut = nn.Sequential(
        nn.Conv2d(in_channels, 4 * planes, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * planes)
    )
    first = Bottleneck(in_channels, planes, stride, shortcut)
    return nn.Sequential(first, *[Bottleneck(4 * planes, planes) for _ in range(blocks - 1)])
