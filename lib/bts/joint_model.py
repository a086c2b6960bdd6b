"""The end-to-end training of Beyond the Spectrum: the re-synthesizer learns together with the detectors."""

import torch
from torch.nn import functional as F

from lib.bts.detector import BeyondTheSpectrum
from lib.bts.perceptual import re_synthesis_loss
from lib.bts.re_synthesizer import box_mean


class EndToEnd(BeyondTheSpectrum):
    """BeyondTheSpectrum with a second pass through its re-synthesizer; the same weights under the same names.

    low_res: (M,3,h,w), small images after Omega; M can differ from N. With low_res, forward returns a pair: the logits
    of `rgb`, and the re-synthesized images (M,3,H,W). One call does both, because on several GPUs the model is wrapped,
    and only calls of the wrapper keep the gradients of all GPUs equal.
    """

    def forward(self, rgb, low_res=None):
        logits = super().forward(rgb)
        return logits if low_res is None else (logits, self.re_synthesizer(low_res))


def joint_loss(model, degrade, stage_weights, kind="paper", detector_weight=1.0):
    """Return the loss of the end-to-end training: (model, batch) -> {"loss", "cross_entropy", "reconstruction"}.

    "loss" is detector_weight * cross_entropy + reconstruction.
    cross_entropy: of all images, without Omega, summed over the stages.
    reconstruction: the distance (Eq. 3, or another `kind`) of the photographs to their re-synthesis from
    degrade(low_res, generator), which is Omega. It is 0 if the re-synthesizer requires no gradient, and, as in the
    released code, if a batch has fewer than two photographs.
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
            logits = model(rgb)
            reconstruction = logits.new_zeros(())
        cross_entropy = sum(F.cross_entropy(stage, label) for stage in logits.unbind(dim=1))
        total = detector_weight * cross_entropy + reconstruction
        return {"loss": total, "cross_entropy": cross_entropy, "reconstruction": reconstruction}

    return loss


def _learns(model):
    network = getattr(model, "module", model)
    return any(parameter.requires_grad for parameter in network.re_synthesizer.parameters())
