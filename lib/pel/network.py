"""PEL: two EfficientNet streams, of pixels and of fine-grained frequencies, that enhance themselves and each other.

Gu et al., "Exploiting Fine-grained Face Forgery Clues via Progressive Enhancement Learning", AAAI 2022.
The paper releases no code; docs/choices.md lists our choices where the paper leaves something open.
"""

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame, create_conv2d
from torch import nn

from lib import ops
from lib.backbones.efficientnet import create_trunk, out_channels
from lib.backbones.imagenet import normalise
from lib.detectors import Detector, check_rgb, register
from lib.ops import dct
from lib.ops.denoise import DENOISERS

STREAMS = ("rgb", "freq")
FREQUENCY_CHANNELS = 64


class NoiseEnhancement(nn.Module):
    """Eq. 2-3: add to each value the sigmoid of its noise, scaled per channel by a depth-wise 1x1 convolution.

    It starts as the identity, so that the first step does not destroy the pretrained features; with `literal_init` the
    convolution starts at random, as in PyTorch. denoiser: M of Eq. 2, "median", "mean" or "non_local_means".
    kernel_size: a number, or n numbers; n numbers have one weight each, (C, n), and their results are added up: the
    grouped convolution of Table 5. Raises ValueError for another denoiser.
    """

    def __init__(self, channels, kernel_size=3, literal_init=False, denoiser="median"):
        super().__init__()
        if denoiser not in DENOISERS:
            raise ValueError(f"denoiser: {denoiser!r} is not one of {', '.join(DENOISERS)}")
        self.weight, self.bias = _depthwise(channels, literal_init)
        if not isinstance(kernel_size, int):
            self.weight = nn.Parameter(torch.zeros(channels, len(kernel_size)))
        self.kernel_size, self.denoiser = kernel_size, denoiser

    def forward(self, x):
        return ops.noise_enhance(x, self.weight, self.bias, self.kernel_size, self.denoiser)


class ChannelAttention(nn.Module):
    """Eq. 4: x + x * sigmoid(MLP(GAP(x) + GMP(x))); the pools are summed before the one MLP.

    It starts with the same gain, 1.5, for every channel of every image, so that the first step keeps the balance of the
    pretrained features; with `literal_init` the MLP starts at random, as in PyTorch.
    """

    def __init__(self, channels, reduction=16, literal_init=False):
        super().__init__()
        hidden = max(1, channels // reduction)
        shrink, grow = nn.Linear(channels, hidden, bias=False), nn.Linear(hidden, channels, bias=False)
        self.mlp = nn.Sequential(shrink, nn.ReLU(), grow)
        if not literal_init:
            nn.init.zeros_(grow.weight)

    def forward(self, x):
        attention = self.mlp(x.mean((2, 3)) + x.amax((2, 3))).sigmoid()
        return x + x * attention[..., None, None]


class MutualEnhancement(nn.Module):
    """Eq. 5-6: one spatial attention map for each stream, computed from all streams, or from the only one.

    Takes and returns a list of maps (N, C, h, w), one a stream.
    """

    def __init__(self, channels, streams=2, literal_init=False):
        super().__init__()
        self.attention = nn.Conv2d(streams * channels, streams, 1)
        weights, biases = zip(*(_depthwise(channels, literal_init) for _ in range(streams)), strict=True)
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)

    def forward(self, maps):
        attention = self.attention(torch.cat(maps, 1)).sigmoid().split(1, dim=1)
        parts = zip(maps, attention, self.weights, self.biases, strict=True)
        return [x + w[:, None, None] * (x * a) + b[:, None, None] for x, a, w, b in parts]


class Enhancement(nn.Module):
    """The modules after one block of the backbone: self-enhancement of each stream, then mutual enhancement.

    Takes and returns a list of maps (N, C, h, w), one a stream.
    """

    def __init__(self, channels, streams, noise, attention, mutual, literal_init, kernel_size=3, denoiser="median"):
        super().__init__()

        def alone():
            parts = [NoiseEnhancement(channels, kernel_size, literal_init, denoiser)] if noise else []
            return nn.Sequential(*parts, *([ChannelAttention(channels, 16, literal_init)] if attention else []))

        self.alone = nn.ModuleList(alone() for _ in range(streams))
        self.mutual = MutualEnhancement(channels, streams, literal_init) if mutual else nn.Identity()

    def forward(self, maps):
        return self.mutual([enhance(x) for enhance, x in zip(self.alone, maps, strict=True)])


class PEL(Detector):
    """Progressive enhancement learning: rgb float (N, 3, H, W) in [0, 1], even H and W -> logits (N,), high = fake.

    backbone: any EfficientNet of timm with 7 stages, with the tag of its weights; pretrained: start from these (new
    layers are random). streams: "rgb", "freq" or both. self_enhancement, mutual_enhancement: use these modules.
    stride: of the sliding DCT window, 2 (64 maps of H/2 x W/2, then a first convolution of stride 1) or 1 (64 maps of
    almost H x W, then stride 2). noise_after: the blocks that a noise block follows; enhance_after: the blocks that
    channel attention and mutual enhancement follow; block 0 is the stem, 1 .. 7 are the MBConv stages.
    literal_init: start the enhancements at random, not as the identity (attention: not with the same gain for all).
    frequency_start: "pretrained": at stride 2 the frequency stream starts as the pretrained network, because its first
    maps equal the output of that network's first layer; "random": its first layers start at random.
    denoiser, kernel_size: of the noise blocks; the paper has "median" and 3.
    Raises ValueError for an argument that does not fit, RuntimeError if the ImageNet weights cannot be loaded.
    """

    known = STREAMS

    def __init__(self, backbone="tf_efficientnet_b4.ap_in1k", pretrained=True, streams=STREAMS, self_enhancement=True,
                 mutual_enhancement=True, stride=2, drop_rate=0.4, noise_after=(1, 2), enhance_after=(2, 3, 4, 5, 6),
                 literal_init=False, frequency_start="pretrained", denoiser="median", kernel_size=3):  # fmt: skip
        super().__init__()
        if not streams or set(streams) - set(self.known) or len(set(streams)) < len(streams):
            raise ValueError(f"streams: needs one or more of {', '.join(self.known)}, each once, has {streams!r}")
        if stride not in (1, 2):
            raise ValueError(f"stride: needs 1 or 2, so that both streams meet at half the image's size, has {stride}")
        if frequency_start not in ("pretrained", "random"):
            raise ValueError(f"frequency_start: needs 'pretrained' or 'random', has {frequency_start!r}")
        self.streams, self.stride, self.frequency_start = tuple(streams), stride, frequency_start
        self.trunks = nn.ModuleDict({stream: create_trunk(backbone, pretrained) for stream in self.streams})
        if "freq" in self.streams:
            self.frequency_stem = nn.Conv2d(192, FREQUENCY_CHANNELS, 1)
            stem, self.repeated = self.trunks["freq"].conv_stem, 0
            self.trunks["freq"].conv_stem = create_conv2d(
                FREQUENCY_CHANNELS, stem.out_channels, stem.kernel_size[0], stride=2 // stride, padding="same"
            )
            if pretrained and stride == 2 and frequency_start == "pretrained":
                self._repeat_first_layer(stem)
        trunk = self.trunks[self.streams[0]]
        self.enhancements = nn.ModuleList(
            Enhancement(channels, len(self.streams), self_enhancement and index in noise_after,
                        self_enhancement and index in enhance_after, mutual_enhancement and index in enhance_after,
                        literal_init, kernel_size, denoiser)
            for index, channels in enumerate(map(out_channels, (trunk.conv_stem, *trunk.blocks)))
        )  # fmt: skip
        self.dropout = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(trunk.num_features * len(self.streams), 1)
        self.to(memory_format=torch.channels_last)  # a third faster, on a CPU and on a GPU

    def prepare(self, items, steps):
        """Call `standardise_frequencies` with up to 256 evenly spread items, unless frequency_start is "random"."""
        if "freq" in self.streams and self.frequency_start == "pretrained":
            heard = range(0, len(items), -(-len(items) // 256))
            self.standardise_frequencies(torch.stack([items[index]["rgb"] for index in heard]))

    @torch.no_grad()
    def standardise_frequencies(self, rgb):
        """Rescale the 1x1 convolution as if every frequency had mean 0 and standard deviation 1 over `rgb`.

        rgb: training images (N, 3, H, W) in [0, 1]. Without this, the mean of a window, which is about a hundred times
        larger than its fine frequencies, would dominate. Maps that repeat the pretrained first layer are not rescaled.
        """
        maps = ops.sliding_dct(rgb, self.stride).transpose(0, 1).flatten(1)
        deviation = maps.std(1).clamp_min(1 / 255)  # in grey images the chroma has deviation 0
        weight, bias = self.frequency_stem.weight[self.repeated :], self.frequency_stem.bias[self.repeated :]
        weight.div_(deviation[:, None, None])
        bias.copy_(-weight[:, :, 0, 0] @ maps.mean(1))

    @torch.no_grad()
    def _repeat_first_layer(self, stem):
        """Make the first frequency maps equal to `stem` of the normalised image; conv_stem passes on only these maps.

        This is possible because a window of 8x8 pixels contains all pixels that the filter of `stem` in its middle
        reads; at the border, three reflected pixels are added to the image.
        """
        count, _, *sides = stem.weight.shape
        mean, std = (torch.tensor(self.trunks["freq"].pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
        first = 3 if isinstance(stem, Conv2dSame) else 3 - stem.padding[0]
        wanted = torch.zeros(count, 3, 8, 8, dtype=torch.float64)
        wanted[:, :, first : first + sides[0], first : first + sides[1]] = stem.weight / std
        kernels, offset = dct.dct_filters(torch.float64)
        weight = torch.linalg.solve(kernels.flatten(1).T, wanted.flatten(1).T).T  # weight @ kernels = wanted
        self.frequency_stem.weight[:count] = weight[..., None, None]
        self.frequency_stem.bias[:count] = -(stem.weight * (mean / std)).sum((1, 2, 3)) - weight @ offset
        passing = self.trunks["freq"].conv_stem.weight
        passing.zero_()[range(count), range(count), sides[0] // 2, sides[1] // 2] = 1
        self.repeated = count

    def forward(self, rgb):
        pooled = [x.mean((2, 3)) for x in self.forward_features(rgb).values()]
        return self.classifier(self.dropout(torch.cat(pooled, 1)))[:, 0]

    def forward_features(self, rgb):
        """Return the last maps of each stream, {stream: (N, C, H/32, W/32)}, in the order that `classifier` reads."""
        check_rgb(rgb)
        if rgb.shape[2] % 2 or rgb.shape[3] % 2:
            raise ValueError(f"rgb: needs shape (N, 3, H, W) with even H and W, has {tuple(rgb.shape)}")
        trunks = self.trunks.values()
        maps = [trunk.bn1(trunk.conv_stem(self._input(rgb, stream))) for stream, trunk in self.trunks.items()]
        maps = self.enhancements[0](maps)
        for index, enhance in enumerate(self.enhancements[1:]):
            maps = enhance([trunk.blocks[index](x) for trunk, x in zip(trunks, maps, strict=True)])
        return {s: t.bn2(t.conv_head(x)) for (s, t), x in zip(self.trunks.items(), maps, strict=True)}

    @torch.no_grad()
    def activation_maps(self, rgb):
        """Return {stream: float (N, H/32, W/32)}: what each place adds to the evidence for fake; it may be negative.

        The sum of the spatial means of all maps, plus the bias of `classifier`, is the logit.
        Source: Zhou et al., CVPR 2016.
        """
        features = self.forward_features(rgb)
        pairs = zip(features.items(), self.classifier.weight[0].chunk(len(features)), strict=True)
        return {stream: torch.einsum("nchw,c->nhw", x, weight) for (stream, x), weight in pairs}

    def _input(self, rgb, stream):
        if stream == "rgb":
            return normalise(rgb, self.trunks[stream])
        return ops.frequency_stem(rgb, self.frequency_stem.weight, self.frequency_stem.bias, self.stride)


def loss(model, batch):
    """Eq. 7: the binary cross-entropy of a batch {"rgb": (N, 3, H, W), "label": (N,), 1 = fake}; a scalar tensor."""
    return F.binary_cross_entropy_with_logits(model(batch["rgb"]), batch["label"].float())


@register("PEL", "pel", PEL, loss)
def options(pel, **changes):
    return {**pel.model_dump(exclude={"training"}), **changes}


@register("RGB", "pel", PEL, loss)
def rgb_options(pel):
    return options(pel, streams=["rgb"], self_enhancement=False, mutual_enhancement=False)


@register("Freq", "pel", PEL, loss)
def freq_options(pel):
    return options(pel, streams=["freq"], self_enhancement=False, mutual_enhancement=False)


def _depthwise(channels, literal_init):
    """Return weight (C,) and bias (C,) of a depth-wise 1x1 convolution: zeros, or random in (-1, 1) as in PyTorch."""
    parts = torch.empty(2, channels).uniform_(-1, 1) if literal_init else torch.zeros(2, channels)
    return [nn.Parameter(part.clone()) for part in parts]
