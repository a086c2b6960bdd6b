"""Xception (Chollet, CVPR 2017) as the trunk of detectors, with timm's blocks and names, so that its weights load."""

import timm
import torch
import torch.nn.functional as F
from timm.models.xception import Block, SeparableConv2d
from torch import nn

from lib.backbones.imagenet import fetching

WEIGHTS = "legacy_xception.tf_in1k"  # of timm: ImageNet-1k alone
# Block: output channels, separable convolutions, stride; block 12 adds channels in its last convolution.
BLOCKS = ((128, 2, 2), (256, 2, 2), (728, 2, 2), *((728, 3, 1),) * 8, (1024, 2, 2))


class Trunk(nn.Module):
    """Xception without its classifier: float (N, in_channels, H, W) -> (N, num_features, h, w); 299 pixels become 10.

    Images must be normalised by `imagenet.normalise`.
    width: share of the channels, rounded to multiples of 8 (1 is the paper's); stem_stride: of the first convolution.
    pretrained: ImageNet weights, at width 1 only; those of the first convolution are repeated over `in_channels`, a
    multiple of 3, and divided by the number of repetitions.
    Raises ValueError for an argument that does not fit, RuntimeError if the weights cannot be loaded.
    """

    def __init__(self, in_channels=3, pretrained=True, width=1.0, stem_stride=2):
        super().__init__()
        if pretrained and width != 1:
            raise ValueError(f"width: ImageNet weights exist for width 1, not {width}; set pretrained to False")
        if pretrained and in_channels % 3:
            raise ValueError(f"in_channels: RGB weights repeat over multiples of 3, not {in_channels}")
        if not 0 < width <= 1:
            raise ValueError(f"width: needs a share of the channels in (0, 1], has {width}")

        def slim(channels):
            return max(8, round(channels * width / 8) * 8)

        self.conv1, self.bn1 = nn.Conv2d(in_channels, slim(32), 3, stem_stride, bias=False), nn.BatchNorm2d(slim(32))
        self.conv2, self.bn2 = nn.Conv2d(slim(32), slim(64), 3, bias=False), nn.BatchNorm2d(slim(64))
        self.channels = [slim(64)]  # after the stem, then after each block
        for number, (out_channels, depth, stride) in enumerate(BLOCKS, 1):
            first, last = {"start_with_relu": number > 1}, {"grow_first": number < len(BLOCKS)}
            block = Block(self.channels[-1], slim(out_channels), depth, stride, **first, **last)
            if stride > 1:
                block.skip = Shortcut(self.channels[-1], slim(out_channels), 1, bias=False)
            setattr(self, f"block{number}", block)
            self.channels.append(slim(out_channels))
        self.num_features = slim(2048)
        self.pretrained_cfg = timm.get_pretrained_cfg(WEIGHTS).to_dict()
        self.conv3, self.bn3 = SeparableConv2d(self.channels[-1], slim(1536), 3, padding=1), nn.BatchNorm2d(slim(1536))
        self.conv4 = SeparableConv2d(slim(1536), self.num_features, 3, padding=1)
        self.bn4 = nn.BatchNorm2d(self.num_features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if pretrained:
            self.load_state_dict(_imagenet_weights(in_channels))
        self.to(memory_format=torch.channels_last)  # halves the time of its depth-wise convolutions

    def parts(self):
        """Return the network as functions of a map, in order: the stem, blocks 1 .. 12, the exit."""
        return [self._stem, *(getattr(self, f"block{number}") for number in range(1, len(BLOCKS) + 1)), self._exit]

    def forward(self, x):
        for part in self.parts():
            x = part(x)
        return x

    def _stem(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))

    def _exit(self, x):
        return F.relu(self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x))))))


class Shortcut(nn.Conv2d):
    """A 1x1 convolution of every second pixel, the same as timm's convolution with stride 2.

    The strided one is not used, because oneDNN's backward pass of it (AVX-512, channels_last, torch 2.15) writes whole
    blocks of 16 channels: with 728 channels the last block is not full, and it writes past the end of its memory.
    """

    def forward(self, x):
        return super().forward(x[..., ::2, ::2])


def _imagenet_weights(in_channels):
    with fetching("Xception", "train from random weights with pretrained set to False"):
        weights = timm.create_model(WEIGHTS, pretrained=True, num_classes=0).state_dict()
    copies = in_channels // 3
    return {**weights, "conv1.weight": weights["conv1.weight"].repeat(1, copies, 1, 1) / copies}
