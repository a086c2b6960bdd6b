"""The end-to-end stage of Beyond the Spectrum: the re-synthesizer learns together with the detectors."""

import torch
from torch.nn import functional as F

from lib.bts.detector import BeyondTheSpectrum
from lib.bts.perceptual import re_synthesis_loss
from lib.bts.re_synthesizer import box_mean


class EndToEnd(BeyondTheSpectrum):
    """BeyondTheSpectrum with a second pass through its re-synthesizer; the same weights under the same names.

    low_res: (M,3,h,w), small images that Omega changed, of any number M. With it the result is a pair: the logits of
    `rgb`, and the re-synthesized (M,3,H,W). One call, because several GPUs wrap the model.
    """

    def forward(self, rgb, residuals=None, low_res=None):
        logits = super().forward(rgb, residuals)
        return logits if low_res is None else (logits, self.re_synthesizer(low_res))


def joint_loss(model, degrade, stage_weights, kind="paper", detector_weight=1.0):
    """Return the loss of the end-to-end stage: (model, batch) -> {"loss", "cross_entropy", "reconstruction"}.

    cross_entropy: of the clean residuals of all images, summed over the stages; counts `detector_weight` times.
    reconstruction: the distance (Eq. 3, or of another `kind`) of the photographs to what is re-synthesized of them
    after degrade(low_res, generator), Omega. It is left out where it teaches nothing: with a re-synthesizer that asks
    for no gradient, and, as released, for a batch of less than two photographs.
    Source: BTS section 4.2; released train.py.
    """
    perceptual, factor = model.perceptual, model.re_synthesizer.factor

    def loss(model, batch):
        rgb, label = batch["rgb"], batch["label"].long()
        real, trained = rgb[label == 0], _learns(model)
        if trained and len(real) > 1:
            low_res = degrade(box_mean(real, factor), torch.default_generator)  # seeded by `fit` at each epoch
            logits, output = model(rgb, low_res=low_res)
            reconstruction = re_synthesis_loss(perceptual, real, output, stage_weights, kind)["loss"]
        else:
            logits = model(rgb, None if trained else batch.get("residuals"))
            reconstruction = logits.new_zeros(())
        cross_entropy = sum(F.cross_entropy(stage, label) for stage in logits.unbind(dim=1))
        total = detector_weight * cross_entropy + reconstruction
        return {"loss": total, "cross_entropy": cross_entropy, "reconstruction": reconstruction}

    return loss


def _learns(model):
    network = getattr(model, "module", model)
    return any(parameter.requires_grad for parameter in network.re_synthesizer.parameters())
