"""The detector of Beyond the Spectrum: one ResNet a stage on what the re-synthesizer cannot explain (Eq. 2 and 4)."""

import math

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import Bottleneck

from lib.models.perceptual import CHANNELS, Perceptual
from lib.models.rdn import RDN

FAKE = 1  # the column of the logits; the released classifiers have real = 1: swap the rows of `fc` to load one


class ResidualDetector(nn.Module):
    """C_i of Eq. 4: the released ResNet-50, with a stem of three 3x3 convolutions and stride 1 in layer3 and layer4.

    residual: (N,in_channels,H,W) >= 0. Returns logits (N,2): real, fake. `width` and `layers` shrink it.
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
                fan_out = module.out_channels * math.prod(module.kernel_size)
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))

    def forward(self, residual):
        x = self.maxpool(F.relu(self.bn1(self.conv1(residual))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))

    def fake_probability(self, residual):
        """Return the probability (N,) of being fake."""
        return self(residual).softmax(dim=-1)[..., FAKE]


class BeyondTheSpectrum(nn.Module):
    """The whole detector: re-synthesizer, perceptual network, one ResidualDetector a stage, and the weights of Eq. 4.

    re_synthesizer: the arguments of RDN; perceptual: a name of lib.models.perceptual; stages: 0 = pixel, 1 .. 5 =
    perceptual stages; stage_weights: beta of Eq. 4; width, layers: of the ResNets; size: side of the images that it is
    trained on, in pixels (kept for those who prepare its input). `config` holds all of them, and
    BeyondTheSpectrum(**config) builds the same network. Only the detectors are trained: the rest is fixed, as in the
    first phase of the released code.
    Raises ValueError for a stage that does not exist.
    """

    def __init__(self, re_synthesizer, perceptual, stages, stage_weights, width, layers, size, pretrained=True):
        super().__init__()
        if not stages or not set(stages) <= set(range(6)):
            raise ValueError(f"stages: {stages} are not among 0 (pixel) and 1 .. 5 (perceptual)")
        self.config = dict(re_synthesizer=dict(re_synthesizer), perceptual=perceptual, stages=list(stages),
                           stage_weights=list(stage_weights), width=width, layers=list(layers), size=size)  # fmt: skip
        self.stages = list(stages)
        self.re_synthesizer = RDN(**re_synthesizer).requires_grad_(False)
        self.perceptual = Perceptual(perceptual, pretrained)
        channels = (3, *CHANNELS[perceptual])
        self.detectors = nn.ModuleList([ResidualDetector(channels[stage], layers, width) for stage in stages])
        self.register_buffer("stage_weights", torch.tensor(stage_weights, dtype=torch.float32))
        for network in (self.re_synthesizer, self.perceptual):
            network.to(memory_format=torch.channels_last)  # a third of the time on a CPU

    @classmethod
    def restore(cls, state, config):
        """Build the trained network from what `lib.train.load` returns."""
        keys = ("re_synthesizer", "perceptual", "stages", "stage_weights", "width", "layers", "size")
        model = cls(**{key: config[key] for key in keys}, pretrained=False)
        model.load_state_dict(state)
        return model.eval()

    def residuals(self, rgb):
        """What the re-synthesizer cannot explain: |X - Phi(X_down)| and |Theta_i(X) - Theta_i(Phi(X_down))|.

        rgb: (N,3,H,W) in [0,1]. Returns one tensor >= 0 a stage of `self.stages`. Source: BTS Eq. 2 and 4.
        """
        output = self.re_synthesizer.re_synthesize(rgb)
        pairs = [(rgb, output)]
        if max(self.stages) > 0:
            pairs += zip(self.perceptual(rgb), self.perceptual(output), strict=True)
        # Contiguous: oneDNN fails at strided 1x1 convolutions of channels_last, see xception.Shortcut.
        return [(pairs[stage][0] - pairs[stage][1]).abs().contiguous() for stage in self.stages]

    def forward(self, rgb, residuals=None):
        """Return the logits (N,stages,2) of the detector at each stage; `residuals` spares computing them again."""
        residuals = self.residuals(rgb) if residuals is None else residuals
        return torch.stack([detector(x) for detector, x in zip(self.detectors, residuals, strict=True)], dim=1)

    def stage_probabilities(self, rgb, residuals=None):
        """Return the probability of being fake that each stage gives, (N,stages)."""
        return self(rgb, residuals).softmax(dim=-1)[..., FAKE]

    def fake_probability(self, rgb, residuals=None):
        """Return the probability of being fake (N,): the stages' weighted mean (Eq. 4), for rgb (N,3,H,W) in [0,1]."""
        return combine(self.stage_probabilities(rgb, residuals), self.stage_weights)


def combine(probabilities, stage_weights):
    """Return sum_i beta_i C_i (N,) of probabilities (N,stages), with beta scaled to sum to 1: Eq. 4."""
    return probabilities @ (stage_weights / stage_weights.sum())


def detector_loss(model, batch):
    """Return the cross-entropy of each stage's detector, summed: they share no weight, so each learns as if alone."""
    logits = model(batch["rgb"], batch.get("residuals"))
    labels = batch["label"].long()
    return sum(F.cross_entropy(stage, labels) for stage in logits.unbind(dim=1))


def image_loss(model, batch):
    """Return the cross-entropy of a network that reads the image itself, rgb -> logits (N,2)."""
    return F.cross_entropy(model(batch["rgb"]), batch["label"].long())


def _layer(in_channels, planes, blocks, stride):
    shortcut = nn.Sequential(
        nn.Conv2d(in_channels, 4 * planes, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * planes)
    )
    first = Bottleneck(in_channels, planes, stride, shortcut)
    return nn.Sequential(first, *[Bottleneck(4 * planes, planes) for _ in range(blocks - 1)])
