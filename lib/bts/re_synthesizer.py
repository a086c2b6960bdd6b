"""The re-synthesizer of Beyond the Spectrum: a residual dense network that enlarges an image four times.

Zhang et al., "Residual Dense Network for Image Super-Resolution", CVPR 2018, with the sizes of the released code. Its
weights have the names of the public RDN-pytorch, so that the released re-synthesizers can be loaded.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lib.ops.precision import float32


def box_mean(rgb, factor=4):
    """Shrink by the mean of each `factor` x `factor` box: X_down of Eq. 1.

    rgb: (N,C,H,W) in [0,1]. Returns (N,C,H/factor,W/factor), not rounded to the 256 grey levels.
    Raises ValueError unless H and W are multiples of `factor`. Source: BTS section 3.1, as in the released code.
    """
    if rgb.shape[-2] % factor or rgb.shape[-1] % factor:
        height, width = rgb.shape[-2:]
        raise ValueError(f"rgb: {height}x{width} pixels do not divide into boxes of {factor}: crop or resize")
    return F.avg_pool2d(rgb, factor)


class DenseLayer(nn.Module):
    """A 3x3 convolution and ReLU, whose output is appended to its input."""

    def __init__(self, in_channels, growth_rate):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, growth_rate, 3, padding=1)

    def forward(self, x):
        return torch.cat([x, F.relu(self.conv(x))], dim=1)


class ResidualDenseBlock(nn.Module):
    """Dense layers, fused by a 1x1 convolution and added to the input."""

    def __init__(self, num_features, growth_rate, num_layers):
        super().__init__()
        widths = [num_features + i * growth_rate for i in range(num_layers + 1)]
        self.layers = nn.Sequential(*[DenseLayer(width, growth_rate) for width in widths[:-1]])
        self.lff = nn.Conv2d(widths[-1], num_features, 1)

    def forward(self, x):
        return x + self.lff(self.layers(x))


class RDN(nn.Module):
    """Enlarge a small image: the function Phi of Eq. 1, with the sizes of the released code by default.

    low_res: (N,3,h,w) in [0,1]. Returns (N,3,factor*h,factor*w), roughly in [0,1]: the output is not clamped.
    checkpoint: in training, keep only the input of each block, and compute the block again in the backward pass. The
    numbers stay the same; it takes a third more time and a fifth of the memory.
    Raises ValueError for a `factor` other than 2 or 4.
    """

    def __init__(self, num_features=64, growth_rate=64, num_blocks=16, num_layers=8, factor=4, checkpoint=False):
        super().__init__()
        if factor not in (2, 4):
            raise ValueError(f"factor: {factor!r} is not 2 or 4, the steps of the pixel shuffle")
        self.factor, self.checkpoint = factor, checkpoint
        self.sfe1 = nn.Conv2d(3, num_features, 3, padding=1)
        self.sfe2 = nn.Conv2d(num_features, num_features, 3, padding=1)
        blocks = [ResidualDenseBlock(num_features, growth_rate, num_layers) for _ in range(num_blocks)]
        self.rdbs = nn.ModuleList(blocks)
        self.gff = nn.Sequential(
            nn.Conv2d(num_blocks * num_features, num_features, 1), nn.Conv2d(num_features, num_features, 3, padding=1)
        )
        doubling = []
        for _ in range(factor // 2):
            doubling += [nn.Conv2d(num_features, 4 * num_features, 3, padding=1), nn.PixelShuffle(2)]
        self.upscale = nn.Sequential(*doubling)
        self.output = nn.Conv2d(num_features, 3, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # on a CPU two thirds of the time, in training five sixths

    @float32  # bfloat16's rounding is as large as the network's error, and would falsify the gradient of Eq. 3
    def forward(self, low_res):
        shallow = self.sfe1(low_res)
        x, fused = self.sfe2(shallow), []
        for block in self.rdbs:
            x = self._run(block, x)
            fused.append(x)
        x = shallow + self._run(lambda *maps: self.gff(torch.cat(maps, dim=1)), *fused)
        return self._run(lambda x: self.output(self.upscale(x)), x)

    def _run(self, part, *maps):
        if self.checkpoint and torch.is_grad_enabled():
            return checkpoint(part, *maps, use_reentrant=False)
        return part(*maps)

    @torch.no_grad()
    def start_as_repetition(self):
        """Set the weights so that the untrained network repeats each pixel; three channels carry the colours through.

        The paper's network starts at random and needs its first epochs to learn this; our training has only minutes.
        """
        copy = F.pad(torch.ones(1, 1), (1, 1, 1, 1))
        doublings = [layer for layer in self.upscale if isinstance(layer, nn.Conv2d)]
        carried = [(self.sfe1, 1, copy), (self.gff[-1], 1, 0 * copy), *((conv, 4, copy) for conv in doublings)]
        for conv, each, kernel in (*carried, (self.output, 1, copy)):  # each: output channels of one colour
            conv.weight[: 3 * each] = 0
            conv.bias[: 3 * each] = 0
            for colour in range(3):
                conv.weight[colour * each : (colour + 1) * each, colour] = kernel
        return self

    def re_synthesize(self, rgb):
        """Shrink and enlarge again: Phi(X_down), (N,3,H,W) for rgb (N,3,H,W) in [0,1]."""
        return self(box_mean(rgb, self.factor))


def rdn_options(settings):
    """Return the arguments of RDN from the section `re_synthesizer`."""
    keys = ("num_features", "growth_rate", "num_blocks", "num_layers", "factor")
    return {key: getattr(settings, key) for key in keys}


def load_released(model, path):
    """Load a checkpoint of the released code (.pth: a state dict, or a dict with the key `state_dict`) into an RDN.

    Raises FileNotFoundError, and ValueError if the names or shapes of its tensors are not those of `model`.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such weights; correct re_synthesizer.weights or leave it empty to train")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(weights.get("state_dict", weights))
    except RuntimeError:
        remedy = "set the sizes of re_synthesizer to the released ones"
        raise ValueError(f"{path}: not the weights of this RDN; {remedy}") from None
    return model
