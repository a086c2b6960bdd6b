"""The detector of Beyond the Spectrum: one ResNet for the residual of each stage; the score is their mean."""

import torch
from torch import nn
from torch.nn import functional as F

from lib.backbones.resnet import ResidualDetector, grad_cam
from lib.bts.perceptual import CHANNELS, Perceptual
from lib.bts.re_synthesizer import rdn_options
from lib.bts.residuals import TrainedRDN, remembered
from lib.detectors import Detector, register
from lib.params import ParamsError


class BeyondTheSpectrum(Detector):
    """The whole detector: re-synthesizer, perceptual network, one ResidualDetector a stage, and the weights of Eq. 4.

    re_synthesizer: the arguments of RDN; phi: the trained re-synthesizer to load, SR, SR+C or SR+D; perceptual: a name
    in CHANNELS of lib.bts.perceptual; stages: 0 = pixel, 1 .. 5 = perceptual stages; stage_weights: beta of Eq. 4;
    width, layers: of the ResNets; size: side of the training images, for the record. Only the ResNets are trained: the
    rest is fixed, as in the first phase of the released code.
    Raises ValueError for a stage that does not exist.
    """

    at_once = 8  # so few images stay in a CPU's cache

    def __init__(
        self, re_synthesizer, perceptual, stages, stage_weights, width, layers, size, phi="SR", pretrained=True
    ):
        super().__init__()
        if not stages or not set(stages) <= set(range(6)):
            raise ValueError(f"stages: {stages} are not among 0 (pixel) and 1 .. 5 (perceptual)")
        self.stages = list(stages)
        self.trained_parts = {"re_synthesizer": f"re_synthesizer/{phi}"}  # part: its trained weights
        self.re_synthesizer = TrainedRDN(**re_synthesizer).requires_grad_(False)
        self.perceptual = Perceptual(perceptual, pretrained)
        channels = (3, *CHANNELS[perceptual])
        self.detectors = nn.ModuleList([ResidualDetector(channels[stage], layers, width) for stage in stages])
        self.register_buffer("stage_weights", torch.tensor(stage_weights, dtype=torch.float32))
        self.perceptual.to(memory_format=torch.channels_last)  # a third of the time on a CPU

    @property
    def stage_names(self):
        return [f"stage {stage}" if stage else "pixel" for stage in self.stages]

    def residuals(self, rgb):
        """Return the residuals of the re-synthesis: |X - Phi(X_down)| and |Theta_i(X) - Theta_i(Phi(X_down))|.

        rgb: (N,3,H,W) in [0,1]. Returns a list: one tensor >= 0 for each of `self.stages`. Within `residuals.keep`,
        those of a re-synthesizer that does not learn are computed once. Source: BTS Eq. 2 and 4.
        """
        if any(parameter.requires_grad for parameter in self.re_synthesizer.parameters()):
            return self._residuals(rgb, self.re_synthesizer.re_synthesize(rgb))
        theta = next(self.perceptual.parameters())  # never trained: one tensor identifies the whole network
        compute = lambda rgb: self._residuals(rgb, self.re_synthesizer.re_synthesize(rgb))
        return remembered(compute, rgb, *self.re_synthesizer.state_dict().values(), theta, torch.tensor(self.stages))

    def _residuals(self, rgb, output):
        pairs = [(rgb, output)]
        if max(self.stages) > 0:
            pairs += zip(self.perceptual(rgb), self.perceptual(output), strict=True)
        # Contiguous, because oneDNN fails at strided 1x1 convolutions of channels_last tensors: see xception.Shortcut.
        return [(pairs[stage][0] - pairs[stage][1]).abs().contiguous() for stage in self.stages]

    def forward(self, rgb):
        """Return the logits (N,stages,2) of all stages."""
        pairs = zip(self.detectors, self.residuals(rgb), strict=True)
        return torch.stack([detector(residual) for detector, residual in pairs], dim=1)

    def opinions(self, batch):
        """Return {name: probability of being fake (N,)}: Pix, Stage1 .. of the stages, then Avg, their mean (Eq. 4)."""
        stages = super().fake_probability(batch)
        names = [f"Stage{stage}" if stage else "Pix" for stage in self.stages]
        return {**dict(zip(names, stages.unbind(1), strict=True)), "Avg": combine(stages, self.stage_weights)}

    def fake_probability(self, batch):
        """Return the probability of being fake (N,): the stages' weighted mean (Eq. 4)."""
        return self.opinions(batch)["Avg"]

    def activation_maps(self, rgb):
        """Return the Grad-CAM of each stage's ResNet: {"pixel" or "stage i": (N,h,w)}. Source: BTS Figs. 7 and 8."""
        with torch.no_grad():
            residuals = self.residuals(rgb)
        parts = zip(self.stage_names, self.detectors, residuals, strict=True)
        return {name: grad_cam(detector, residual) for name, detector, residual in parts}


def combine(probabilities, stage_weights):
    """Return sum_i beta_i C_i (N,) of probabilities (N,stages), with beta scaled to sum to 1: Eq. 4."""
    return probabilities @ (stage_weights / stage_weights.sum())


def detector_loss(model, batch):
    """Return the sum of the cross-entropies of all stages: stages share no weight, so each learns as if alone."""
    logits = model(batch["rgb"])
    labels = batch["label"].long()
    return sum(F.cross_entropy(stage, labels) for stage in logits.unbind(dim=1))


def _register(name, phi, other_stages=False):
    @register(name, "bts", BeyondTheSpectrum, detector_loss, shares=f"re_synthesizer/{phi}")
    def options(size, re_synthesizer, residual_detectors):
        stages, weights = residual_detectors.stages, residual_detectors.stage_weights
        if other_stages:
            stages = [stage for stage in range(1, 6) if stage not in stages]
            weights = [1 / len(stages) for _ in stages]
        if not stages:
            raise ParamsError("residual_detectors.stages: SR has all stages already, which leaves none to SR-stages")
        return {"re_synthesizer": rdn_options(re_synthesizer), "perceptual": re_synthesizer.perceptual,
                "stages": stages, "stage_weights": weights, "width": residual_detectors.width,
                "layers": residual_detectors.layers, "size": size, "phi": phi}  # fmt: skip


_register("SR", "SR")
_register("SR-stages", "SR", other_stages=True)
_register("SR+C", "SR+C")
_register("SR+D", "SR+D")
