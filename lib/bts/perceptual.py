"""Theta of Beyond the Spectrum: the features of a frozen ImageNet network at five stages, and the losses on them."""

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.models import vgg

from lib.backbones.efficientnet import create_efficientnet
from lib.backbones.imagenet import normalise
from lib.bts.re_synthesizer import box_mean
from lib.ops.precision import float32
from lib.training.device import device

CHANNELS = {"vgg19": (64, 128, 256, 512, 512), "efficientnet_lite0": (16, 24, 40, 112, 320)}
LITE0_SCALE = (20.0, 32.0, 28.0, 30.0, 10.0)  # about four standard deviations of each stage over photographs
VGG_TAPS = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1


class Perceptual(nn.Module):
    """Theta_1 .. Theta_5: the features of a frozen network, which always stays in eval mode.

    vgg19 (the paper's): relu1_1 .. relu5_1 at strides 1, 2, 4, 8, 16; rgb is not normalised, as in the released code.
    efficientnet_lite0 (ours, because its weights are installed with the project): the last block of each resolution,
    strides 2, 4, 8, 16, 32; rgb is normalised as its weights expect, and each stage is divided by LITE0_SCALE, because
    its large numbers would outweigh the pixels in Eq. 3.
    rgb: (N,3,H,W) in [0,1]. Returns five tensors (N,CHANNELS[name][i],H/stride,W/stride).
    Raises ValueError for another name, RuntimeError if the weights cannot be loaded. Source: BTS section 3.2.
    """

    def __init__(self, name="vgg19", pretrained=True):
        super().__init__()
        if name not in CHANNELS:
            raise ValueError(f"perceptual: {name!r} is not one of {', '.join(CHANNELS)}")
        self.name = name
        self.network = _vgg19(pretrained) if name == "vgg19" else _lite0(pretrained)
        self.requires_grad_(False).eval()

    def train(self, mode=True):
        return super().train(False)

    @float32  # because residuals and losses are small differences of its features
    def forward(self, rgb):
        if self.name == "efficientnet_lite0":
            stages = self.network.forward_intermediates(normalise(rgb, self.network), intermediates_only=True)
            return [stage / scale for stage, scale in zip(stages, LITE0_SCALE, strict=True)]
        stages, x = [], rgb
        for index, layer in enumerate(self.network):
            x = layer(x)
            if index in VGG_TAPS:
                stages.append(x)
        return stages


def re_synthesis_loss(perceptual, rgb, output, weights, kind="paper"):
    """Return the distance of a re-synthesized image to its original, in pixels and at the perceptual stages.

    rgb, output: (N,3,H,W) in [0,1]; weights: alpha_0 .. alpha_5. Returns {"loss", "pixel", "stages"} of scalars.
    kind "paper": Eq. 3, L1 everywhere (Eq. 1 if alpha_1 .. alpha_5 are 0). kind "released": the perceptual stages have
    0.2 times the mean squared error instead of L1, as in train_sr.py.
    """
    pixel = F.l1_loss(output, rgb)
    distance, factor = (F.l1_loss, 1.0) if kind == "paper" else (F.mse_loss, 0.2)
    with torch.no_grad():
        wanted = perceptual(rgb)
    pairs = zip(weights[1:], perceptual(output), wanted, strict=True)
    stages = factor * sum(weight * distance(stage, target) for weight, stage, target in pairs)
    return {"loss": weights[0] * pixel + stages, "pixel": pixel, "stages": stages}


def equations(perceptual, degrade, settings):
    """Return two functions of (model, batch), the losses of Eq. 1 and Eq. 3 of Phi(degrade(X_down, generator)).

    settings: the section re_synthesizer. X_down is made here and not by `re_synthesize`, because on several GPUs the
    model is wrapped, and the wrapper has no such method.
    """

    def guess(model, batch):
        return model(degrade(box_mean(batch["rgb"], settings.factor), torch.default_generator))

    def equation1(model, batch):
        return F.l1_loss(guess(model, batch), batch["rgb"])

    def equation3(model, batch):
        return re_synthesis_loss(perceptual, batch["rgb"], guess(model, batch), settings.stage_weights, settings.loss)

    return equation1, equation3


@torch.inference_mode()
def reconstruction(model, perceptual, photographs, settings, degrade=lambda low_res, generator: low_res, seed=0):
    """Return the mean distance of photographs to their re-synthesis: {"loss", "pixel", "stages", "psnr"}.

    photographs: items; degrade: Omega, the same for the same `seed`; "psnr" is in dB, the others are those of
    `re_synthesis_loss`.
    """
    generator, found = torch.Generator().manual_seed(seed), []
    for batch in DataLoader(photographs, 1):
        rgb = batch["rgb"].to(device())
        output = model(degrade(box_mean(rgb, settings.factor), generator))
        parts = re_synthesis_loss(perceptual, rgb, output, settings.stage_weights, settings.loss)
        psnr = -10 * (rgb - output.clamp(0, 1)).square().mean().log10()
        found.append({**{name: value.item() for name, value in parts.items()}, "psnr": psnr.item()})
    return pd.DataFrame(found).mean().to_dict()


def _vgg19(pretrained):
    network = vgg.make_layers(vgg.cfgs["E"])[: VGG_TAPS[-1] + 1]  # without the classifier's 120 million weights
    if not pretrained:
        return network
    try:
        weights = vgg.VGG19_Weights.IMAGENET1K_V1.get_state_dict(check_hash=True)
    except OSError as error:
        raise RuntimeError(
            f"the ImageNet weights of VGG-19 could not be fetched from torchvision's hub ({type(error).__name__}): "
            "connect once to the network, or set re_synthesizer.perceptual to efficientnet_lite0, whose are installed"
        ) from error
    network.load_state_dict({key: weights[f"features.{key}"] for key in network.state_dict()})
    return network


def _lite0(pretrained):
    network = create_efficientnet("tf_efficientnet_lite0", pretrained)
    network.prune_intermediate_layers(prune_norm=True, prune_head=True)
    return network
