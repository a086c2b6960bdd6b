"""GramNet: a ResNet-18 that also looks at the Gram matrices of its maps, the textures of the whole image.

Liu et al., "Global Texture Enhancement for Fake Face Detection in the Wild" (CVPR 2020), as released.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import ResNet18_Weights
from torchvision.models.resnet import BasicBlock

from lib.backbones.imagenet import fetching
from lib.backbones.resnet import grad_cam, image_loss
from lib.detectors import Detector, register


class GramBlock(nn.Module):
    """The textures of a map, (N, in_channels, H, W) -> (N, 32): the Gram matrix of 32 channels, read as an image."""

    def __init__(self, in_channels):
        super().__init__()
        self.reduce = _conv(in_channels, 32, stride=1)
        self.read = nn.Sequential(_conv(1, 16, stride=2), _conv(16, 32, stride=2))

    def forward(self, x):
        return self.read(gram(self.reduce(x)).unsqueeze(1)).mean((2, 3))


def gram(x):
    """Return the Gram matrix (N, C, C) of maps (N, C, H, W): products of channels, summed, divided by C H W."""
    flat = x.flatten(2)
    return flat @ flat.mT / flat[0].numel()


class GramNet(Detector):
    """rgb (N, 3, H, W) in [0, 1], of any size and, as released, not normalised -> logits (N, 2): real, fake.

    width: channels of the first stage, 64 in the paper (11,734,723 parameters); each further stage doubles them.
    pretrained: start from torchvision's ImageNet weights, which exist at width 64 alone.
    Raises ValueError for pretrained weights at another width, RuntimeError if they cannot be loaded.
    """

    def __init__(self, width=64, pretrained=False):
        super().__init__()
        if pretrained and width != 64:
            raise ValueError(f"width: {width}; ImageNet weights exist for width 64 alone: set pretrained to false")
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(width)
        self.layer1 = _layer(width, width, stride=1)
        self.layer2, self.layer3, self.layer4 = (_layer(w // 2, w, stride=2) for w in widths[1:])
        self.textures = nn.ModuleList(GramBlock(channels) for channels in (3, width, width, *widths[:3]))
        self.scale = nn.Parameter(torch.ones(1))
        self.fc = nn.Sequential(nn.Linear(8 * width + 6 * 32, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 2))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if pretrained:
            with fetching("ResNet-18", "set pretrained to false"):
                weights = ResNet18_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True)
            own = {key: value for key, value in weights.items() if not key.startswith("fc.")}
            self.load_state_dict({**self.state_dict(), **own})

    def features(self, rgb):
        """Return the vector that is classified, (N, 8 width + 192): 704 numbers in the paper's network."""
        stem = F.relu(self.bn1(self.conv1(rgb)))
        maps = [rgb, stem, F.max_pool2d(stem, 3, stride=2, padding=1)]
        for layer in (self.layer1, self.layer2, self.layer3):
            maps.append(layer(maps[-1]))
        textures = [self.scale * block(x) for block, x in zip(self.textures, maps, strict=True)]
        return torch.cat([self.layer4(maps[-1]).mean((2, 3)), *textures], dim=1)

    def forward(self, rgb):
        return self.fc(self.features(rgb))

    def activation_maps(self, rgb):
        """Return {"image": (N,h,w)}, the Grad-CAM of the network."""
        return {"image": grad_cam(self, rgb)}


@register("GramNet", "bts", GramNet, image_loss)
def options(bts_detectors):
    return {"width": bts_detectors.gram_width, "pretrained": bts_detectors.gram_pretrained}


def _conv(in_channels, out_channels, stride):
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(True))


def _layer(in_channels, planes, stride):
    shortcut = None
    if stride != 1:
        shortcut = nn.Sequential(nn.Conv2d(in_channels, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes))
    return nn.Sequential(BasicBlock(in_channels, planes, stride, shortcut), BasicBlock(planes, planes))
