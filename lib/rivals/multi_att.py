"""Multi-Att: several attention maps, the texture they see, and an augmentation that hides what they look at.

Zhao et al., "Multi-attentional Deepfake Detection", CVPR 2021; numbers and losses as in yoctta/multiple-attention.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms.functional import gaussian_blur

from lib.backbones.efficientnet import create_trunk, out_channels
from lib.backbones.imagenet import normalise
from lib.detectors import Detector, check_rgb, register

ATTENTION_STAGE = 4  # of the 7 MBConv stages: b5 of the paper
WEIGHTS = {"loss_class": 1.0, "loss_regional": 0.5, "loss_hidden": 1.0, "loss_match": 0.1}


class Attention(nn.Module):
    """Attention maps (N, M, h, w) >= 0 of features (N, C, h, w), 0 at the border (2 of 24 cells on each side)."""

    def __init__(self, channels, n_maps):
        super().__init__()
        self.extract, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.maps, self.maps_norm = nn.Conv2d(channels, n_maps, 1, bias=False), nn.BatchNorm2d(n_maps)

    def forward(self, x):
        x = F.elu(self.maps_norm(self.maps(F.relu(self.norm(self.extract(x)))))) + 1
        inside = torch.zeros_like(x[:1, :1])
        top, left = (max(1, round(side / 12)) for side in x.shape[2:])
        inside[..., top:-top, left:-left] = 1
        return x * inside


class TextureEnhancement(nn.Module):
    """What pooling removes from features (N, C, H, W), weighted by each attention map and read by its own dense block.

    Returns textures (N, M, C, H, W) and the pooled features (N, C, h, w), at the size of the attention maps.
    """

    def __init__(self, channels, n_maps):
        super().__init__()
        width = channels * n_maps
        self.extract = nn.Conv2d(channels, channels, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(max(1, depth) * width, width, side, padding="same", groups=n_maps)
                                   for depth, side in enumerate((5, 3, 3, 3, 1)))  # fmt: skip
        self.norms = nn.ModuleList(nn.BatchNorm2d(depth * width) for depth in (1, 2, 3, 4, 1))

    def forward(self, x, attention):
        x = self.extract(x)
        pooled = F.adaptive_avg_pool2d(x, attention.shape[2:])
        x = x - F.interpolate(pooled, x.shape[2:], mode="nearest")
        seen = _resized(attention.detach(), x.shape[2:]).tanh()
        maps = seen.shape[1]
        dense = self.convs[0]((seen[:, :, None] * x[:, None]).flatten(1, 2)).unflatten(1, (maps, -1))
        for conv, norm in zip(self.convs[1:4], self.norms, strict=False):
            fresh = conv(F.relu(norm(dense.flatten(1, 2)))).unflatten(1, (maps, -1))
            dense = torch.cat([dense, fresh], dim=2)  # within each map, so that the groups stay apart
        mixed = self.convs[4](F.relu(self.norms[3](dense.flatten(1, 2))))
        return F.relu(self.norms[4](mixed)).unflatten(1, (maps, -1)), pooled


class RegionalLoss(nn.Module):
    """Regional independence loss: the features of each attention map gather around a center of its own.

    `centers` (M, C): running means over real images, whose `rate` falls by a tenth after each `epoch_steps` training
    steps (None: never). A real image may be 0.1 away from them, a fake has to be 2 away, and the centers 0.5 from each
    other. Source: section 3.4.
    """

    def __init__(self, n_maps, channels, rate=0.05, margin=0.5, inner_margins=(0.1, -2.0), epoch_steps=None):
        super().__init__()
        self.rate, self.margin, self.inner_margins, self.epoch_steps = rate, margin, inner_margins, epoch_steps
        self.register_buffer("centers", torch.zeros(n_maps, channels))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, features, label):
        """Return the loss, a scalar, of features (N, M, C) and label (N,), 1 = fake; training moves the centers."""
        rate = self.rate * (0.9 ** (self.steps // self.epoch_steps) if self.epoch_steps else 1)
        real = (label == 0).to(features)[:, None, None]
        centers = self.centers + rate * ((features - self.centers) * real).mean(0)
        if self.training:
            self.centers.copy_(centers.detach())
            self.steps += 1
        margin = torch.where(label == 0, *self.inner_margins)
        within = F.relu((features - centers).norm(dim=(1, 2)) * margin.sign() - margin).mean()
        between = F.relu(self.margin - torch.pdist(centers)).sum() / (len(centers) * rate)
        return within + between


class MultiAtt(Detector):
    """rgb float (N, 3, H, W) in [0, 1], released for 380 pixels -> logits (N,), high = fake; with `label`: `losses`.

    backbone: an EfficientNet of timm with 7 stages (AdvProp weights as released; tf_efficientnet_lite0 needs no
    download). n_maps: attention maps; texture_stage: the stage (0 .. 6) whose texture is read, b1 in the paper and most
    of the cost on a CPU; width: of the projections.
    Raises ValueError for an argument that does not fit, RuntimeError if the ImageNet weights cannot be loaded.
    """

    def __init__(self, backbone="tf_efficientnet_b4.ap_in1k", pretrained=True, n_maps=4, texture_stage=0, width=256,
                 drop_maps=0.25, drop_rate=0.5):  # fmt: skip
        super().__init__()
        self.trunk = create_trunk(backbone, pretrained)
        self.texture_stage = texture_stage
        texture, seen = (out_channels(self.trunk.blocks[index]) for index in (texture_stage, ATTENTION_STAGE))
        self.attention = Attention(seen, n_maps)
        self.texture = TextureEnhancement(texture, n_maps)
        self.regional = RegionalLoss(n_maps, texture)
        self.drop_maps, self.dropout = nn.Dropout1d(drop_maps), nn.Dropout(drop_rate)
        self.local = nn.Sequential(nn.Linear(n_maps * texture, width), nn.Hardswish(),
                                   nn.Linear(width, width), nn.Hardswish())  # fmt: skip
        self.final = nn.Sequential(nn.Linear(self.trunk.num_features, width), nn.Hardswish())
        self.ensemble = nn.Sequential(nn.Linear(2 * width, width), nn.Hardswish(), nn.Linear(width, 2))
        self.trunk.to(memory_format=torch.channels_last)

    def prepare(self, items, steps):
        """Tell the regional loss how many training steps an epoch has."""
        self.regional.epoch_steps = steps

    def forward(self, rgb, label=None):
        check_rgb(rgb)
        if label is not None:
            return self.losses(normalise(rgb, self.trunk), label)
        real, fake = self._logits(normalise(rgb, self.trunk))[0].unbind(1)
        return fake - real

    def losses(self, x, label):
        """Return {"loss", ...} of normalised x (N, 3, H, W) and label (N,), 1 = fake: the terms and their weighted sum.

        loss_hidden: cross-entropy of images that are blurred where one attention map looks; loss_match: how much the
        blur changes the features of the other maps.
        """
        logits, attention, regions = self._logits(x)
        hidden, index = hide(x, attention)
        hidden_logits, _, hidden_regions = self._logits(hidden)
        others = 1 - F.one_hot(index, attention.shape[1])
        losses = {
            "loss_class": F.cross_entropy(logits, label.long()),
            "loss_regional": self.regional(regions, label),
            "loss_hidden": F.cross_entropy(hidden_logits, label.long()),
            "loss_match": ((hidden_regions - regions).norm(dim=-1) * others).mean(),
        }
        return {"loss": sum(WEIGHTS[key] * value for key, value in losses.items()), **losses}

    def attention_maps(self, rgb):
        """Return the attention maps (N, M, H/16, W/16) >= 0 of rgb (N, 3, H, W) in [0, 1]."""
        return self._logits(normalise(rgb, self.trunk))[1]

    def _logits(self, x):
        """Return logits (N, 2): real, fake; attention maps (N, M, h, w); regional features (N, M, C) of length 1."""
        trunk = self.trunk
        x, stages = trunk.bn1(trunk.conv_stem(x)), []
        for block in trunk.blocks:
            x = block(x)
            stages.append(x)
        last = trunk.bn2(trunk.conv_head(x))
        attention = self.attention(stages[ATTENTION_STAGE])
        kept = self.drop_maps(torch.ones_like(attention[:, :, :1, 0]))  # (N, M, 1): whole maps are dropped
        textures, pooled = self.texture(stages[self.texture_stage].contiguous(), attention)
        pooled = (pooled - pooled.mean((2, 3), keepdim=True)) / (pooled.std((2, 3), keepdim=True) + 1e-8)
        at_textures = _resized(attention, textures.shape[3:])
        local = F.normalize(torch.einsum("nmhw,nmchw->nmc", at_textures, textures), dim=-1)
        regions = F.normalize(torch.einsum("nmhw,nchw->nmc", attention, pooled), dim=-1)
        everywhere = _resized((attention * kept[..., None]).sum(1, keepdim=True), last.shape[2:]) + 1e-8
        final = (last * everywhere).sum((2, 3)) / everywhere.sum((2, 3))
        parts = [self.local((local * kept).flatten(1)), self.final(self.dropout(final))]
        return self.ensemble(torch.cat(parts, dim=1)), attention, regions


@torch.no_grad()
def hide(x, attention, threshold=(0.4, 0.6), zoom=(3.0, 5.0), noise=0.1):
    """Blur each image where one of its attention maps looks (AGDA); returns the images and the maps' numbers (N,).

    x: (N, 3, H, W), normalised; attention: (N, M, h, w) >= 0. A map is drawn with weight sqrt(1 + its sum), scaled to a
    maximum of 1 and sharpened by a random sigmoid. The blur, Gaussian and with noise, is computed at half the size.
    Source: section 3.3 of the paper.
    """
    index = torch.multinomial((attention.sum((2, 3)) + 1).sqrt(), 1)[:, 0]
    mask = _resized(attention[torch.arange(len(x), device=x.device), index, None], x.shape[2:])
    mask = mask / (mask.amax((2, 3), keepdim=True) + 1e-8)
    start, slope = (x.new_empty(()).uniform_(*bounds) for bounds in (threshold, zoom))
    bottom = torch.sigmoid(-start * slope)
    mask = (torch.sigmoid((mask - start) * slope) - bottom) / (1 - bottom)
    small = gaussian_blur(_resized(x, [side // 2 for side in x.shape[2:]]), [11, 11], [7.0, 7.0])
    blurred = _resized(small + noise * torch.randn_like(small), x.shape[2:])
    return x * (1 - mask) + blurred * mask, index


def loss(model, batch):
    """Return MultiAtt.losses of a batch {"rgb": (N, 3, H, W), "label": (N,), 1 = fake}."""
    return model(batch["rgb"], batch["label"])


@register("Multi-Att", "pel", MultiAtt, loss)
def options(pel, pel_detectors):
    return {"backbone": pel_detectors.attention_backbone, "pretrained": pel.pretrained,
            "n_maps": pel_detectors.attention_maps, "texture_stage": pel_detectors.texture_stage}  # fmt: skip


def _resized(maps, size):
    same = tuple(maps.shape[2:]) == tuple(size)
    return maps if same else F.interpolate(maps, tuple(size), mode="bilinear", align_corners=True)
