"""The detector of Beyond the Spectrum: what the re-synthesizer cannot explain, one ResNet a stage, their mean."""

import torch
from torch import nn
from torch.nn import functional as F

from lib.backbones.resnet import FAKE, ResidualDetector
from lib.bts.perceptual import CHANNELS, Perceptual
from lib.bts.re_synthesizer import RDN


class BeyondTheSpectrum(nn.Module):
    """The whole detector: re-synthesizer, perceptual network, one ResidualDetector a stage, and the weights of Eq. 4.

    re_synthesizer: the arguments of RDN; perceptual: a name of lib.bts.perceptual; stages: 0 = pixel, 1 .. 5 =
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
        """Build the trained network from what `lib.training.checkpoints.load` returns."""
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
