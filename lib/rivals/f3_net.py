"""F3-Net: two Xceptions, one for images of frequency bands, one for local frequency statistics, that exchange maps.

Qian et al., "Thinking in Frequency: Face Forgery Detection by Mining Frequency-Aware Clues", ECCV 2020. There is no
official code; numbers that the paper leaves open, and the preset `released`, are those of yyk-wew/F3Net.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from lib.backbones.imagenet import normalise
from lib.backbones.xception import Trunk
from lib.detectors import Detector, check_rgb, register
from lib.ops.dct import dct_basis, dct_matrix
from lib.ops.precision import float32
from lib.rivals import xception

STREAMS = ("fad", "lfs")
PRESETS = ("published", "released")
MIXED_AFTER = (7, 12)  # blocks of Xception
GREY = (0.299, 0.587, 0.114)


class Bands(nn.Module):
    """Filters on a square DCT spectrum, (bands, size, size): fixed bands plus a learned correction in (-1, 1).

    edges: [(first, last)], the diagonals row + column of each band, both inclusive.
    """

    def __init__(self, size, edges):
        super().__init__()
        diagonal = torch.arange(size)[:, None] + torch.arange(size)
        base = [((first <= diagonal) & (diagonal <= last)).float() for first, last in edges]
        self.register_buffer("base", torch.stack(base), persistent=False)
        self.learned = nn.Parameter(torch.randn(len(edges), size, size) * 0.1)

    def forward(self):
        return self.base + (2 * self.learned.sigmoid() - 1)


class FrequencyDecomposition(nn.Module):
    """FAD: split an image (N, 3, size, size) into its low, middle, high and all frequencies, (N, 12, size, size).

    Four filters on the DCT of the whole image. Source: F3-Net, section 3.1.
    """

    def __init__(self, size):
        super().__init__()
        low, middle = math.floor(size / 2.82), size // 2
        self.bands = Bands(size, [(0, low), (low, middle), (middle, 2 * size), (0, 2 * size)])
        self.register_buffer("dct", dct_matrix(size), persistent=False)

    @float32  # the high frequencies are smaller than bfloat16's steps
    def forward(self, x):
        spectrum = self.dct @ x @ self.dct.T
        return (self.dct.T @ (spectrum[:, None] * self.bands()[:, None]) @ self.dct).flatten(1, 2)


class LocalStatistics(nn.Module):
    """LFS: the log energy of six frequency bands around every second pixel, (N, 3, 299, 299) -> (N, 6, 149, 149).

    rgb: in [0, 1]. A 10x10 window slides over the grey image (0 .. 255, padded by 4 zeros). The magnitudes of its DCT
    are filtered, summed, and turned into base-10 logarithms. `released`: logarithms first, then the mean of a band, and
    245 in place of 255, as in the public code. Source: F3-Net, section 3.2.
    """

    window, stride, padding, n_bands, floor = 10, 2, 4, 6, 1e-15

    def __init__(self, released=False):
        super().__init__()
        self.released = released
        step = 2 * self.window / self.n_bands
        self.bands = Bands(self.window, [(step * index, step * (index + 1)) for index in range(self.n_bands)])
        patterns = dct_basis(self.window, torch.float32)[:, None]
        self.register_buffer("patterns", patterns * (245 if released else 255), persistent=False)

    @float32
    def forward(self, rgb):
        grey = (rgb * rgb.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
        magnitude = F.conv2d(grey, self.patterns, stride=self.stride, padding=self.padding).abs()
        filters = self.bands().flatten(1)[..., None, None]
        if self.released:
            shares = filters / self.bands.base.sum((1, 2))[:, None, None, None]
            return F.conv2d((magnitude + self.floor).log10(), shares)
        return (F.conv2d(magnitude, filters.abs()) + self.floor).log10()


class MixBlock(nn.Module):
    """Cross-attention of both streams: each takes from the other where queries and keys of both agree.

    Two maps (N, C, s, s) in and out. It starts as the identity, because the gates start at 0. Source: F3-Net, section
    3.3.
    """

    def __init__(self, channels):
        super().__init__()
        self.queries, self.keys = (nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in STREAMS) for _ in range(2))
        self.gates = nn.Parameter(torch.zeros(2))
        convs = (nn.Conv2d(channels, channels, 1, groups=channels) for _ in STREAMS)
        self.outputs = nn.ModuleList(nn.Sequential(conv, nn.BatchNorm2d(channels)) for conv in convs)

    def forward(self, maps):
        query, key = (torch.cat([conv(x) for conv, x in zip(convs, maps, strict=True)], dim=3)
                      for convs in (self.queries, self.keys))  # fmt: skip
        attention = (query @ key.mT).softmax(-1)  # (N, C, s, s): rows of the query against rows of the key
        gates = 2 * self.gates.sigmoid() - 1
        taken = [convert(x * attention * gate) for convert, x, gate in zip(self.outputs, maps, gates, strict=True)]
        return [maps[0] + taken[1], maps[1] + taken[0]]


class F3Net(Detector):
    """F3-Net: rgb float (N, 3, size, size) in [0, 1] -> logits (N,), high = fake; 299 pixels in the paper.

    streams: both, or one of "fad" and "lfs". preset: "published" (MixBlock after blocks 7 and 12, sum then logarithm)
    or "released" (the public code: no MixBlock, logarithm then sum). pretrained, width: of both Xceptions.
    Raises ValueError for an argument that does not fit, RuntimeError if the ImageNet weights cannot be loaded.
    """

    def __init__(self, size=299, pretrained=True, width=1.0, streams=STREAMS, preset="published", drop_rate=0.2):
        super().__init__()
        streams = tuple(streams)
        if streams not in (STREAMS, *((stream,) for stream in STREAMS)):
            raise ValueError(f"streams: needs ('fad', 'lfs'), ('fad',) or ('lfs',), has {streams!r}")
        if preset not in PRESETS:
            raise ValueError(f"preset: {preset!r} is not one of {', '.join(PRESETS)}")
        self.size = size
        self.trunks = nn.ModuleDict()
        if "fad" in streams:
            self.decomposition = FrequencyDecomposition(size)
            self.trunks["fad"] = Trunk(12, pretrained, width)
        if "lfs" in streams:
            self.statistics = LocalStatistics(released=preset == "released")
            # The statistics have half the image's size: without the stem's stride both streams' maps are equally large.
            self.trunks["lfs"] = Trunk(LocalStatistics.n_bands, pretrained, width, stem_stride=1)
        trunks = list(self.trunks.values())
        mixed = MIXED_AFTER if preset == "published" and streams == STREAMS else ()
        self.mix = nn.ModuleDict({str(block): MixBlock(trunks[0].channels[block]) for block in mixed})
        self.dropout = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(sum(trunk.num_features for trunk in trunks), 1)

    def forward(self, rgb):
        check_rgb(rgb, self.size)
        maps = [self.decomposition(normalise(rgb, self.trunks["fad"]))] if "fad" in self.trunks else []
        maps += [self.statistics(rgb)] if "lfs" in self.trunks else []
        for number, parts in enumerate(zip(*(trunk.parts() for trunk in self.trunks.values()), strict=True)):
            maps = [part(x) for part, x in zip(parts, maps, strict=True)]
            if str(number) in self.mix:
                maps = self.mix[str(number)](maps)
        return self.classifier(self.dropout(torch.cat([x.mean((2, 3)) for x in maps], 1)))[:, 0]


@register("F3-Net", "pel", F3Net, xception.loss)
def options(size, pel_detectors):
    return {"size": size, **xception.options(pel_detectors)}
