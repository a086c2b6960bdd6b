"""Training runs under bfloat16 autocast on a GPU, scoring without: what a detector reads has to be the same in both."""

import pytest
import torch

from lib.bts import degradations
from lib.bts.detector import BeyondTheSpectrum
from lib.bts.joint_model import EndToEnd, joint_loss
from lib.bts.perceptual import Perceptual, re_synthesis_loss
from lib.pel.network import PEL
from lib.rivals.f3_net import F3Net
from lib.rivals.spectrum_2d import FrequencyDetector

RDN = {"num_features": 4, "growth_rate": 4, "num_blocks": 1, "num_layers": 1, "factor": 4}
STAGES = {"stages": [0, 1, 5], "stage_weights": [1.0] * 3, "width": 2, "layers": [1] * 4, "size": 64}
BTS = {"re_synthesizer": RDN, "perceptual": "efficientnet_lite0", **STAGES, "pretrained": False}
WEIGHTS = [1, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1]
# A detector, and the trained layers that read its input or what was made of it.
READERS = {
    "residuals": (lambda: BeyondTheSpectrum(**BTS), lambda model: [d.conv1[0] for d in model.detectors]),
    "residuals of VGG-19": (lambda: BeyondTheSpectrum(**BTS | {"perceptual": "vgg19"}),
                            lambda model: [d.conv1[0] for d in model.detectors]),
    "FFT-2d": (lambda: FrequencyDetector("FFT-2d", 64, [1] * 4, 2), lambda model: [model.detector.conv1[0]]),
    "DCT-2d": (lambda: FrequencyDetector("DCT-2d", 64, [1] * 4, 2), lambda model: [model.detector.conv1[0]]),
    "PEL": (lambda: PEL("tf_efficientnet_lite0", pretrained=False),
            lambda model: [trunk.conv_stem for trunk in model.trunks.values()]),
    "F3-Net": (lambda: F3Net(64, pretrained=False, width=0.125),
               lambda model: [trunk.conv1 for trunk in model.trunks.values()]),
}  # fmt: skip


def under_autocast():
    return torch.autocast("cpu", torch.bfloat16)


@pytest.fixture
def rgb():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", READERS)
def test_a_detector_is_scored_on_the_numbers_that_it_was_trained_on(name, rgb):
    torch.manual_seed(0)
    make, readers = READERS[name]
    model, read, made = make().eval(), [], []
    for layer in readers(model):
        layer.register_forward_hook(lambda _, inputs, output: read.append(inputs[0]) or made.append(output.dtype))
    with torch.no_grad():
        model(rgb)
        scored, read[:], made[:] = list(read), [], []
        with under_autocast():
            model(rgb)
    assert len(scored) == len(read) == len(readers(model))
    assert all(torch.equal(a, b) for a, b in zip(scored, read, strict=True))
    assert set(made) == {torch.bfloat16}, "the backbone itself is to stay under autocast"


@pytest.mark.parametrize("network", ["vgg19", "efficientnet_lite0"])
@pytest.mark.parametrize("kind", ["paper", "released"])
def test_the_re_synthesizer_is_trained_by_the_loss_that_it_is_validated_by(rgb, network, kind):
    perceptual, output = Perceptual(network, pretrained=False), (rgb + 0.01).requires_grad_()
    plain = re_synthesis_loss(perceptual, rgb, output, WEIGHTS, kind)
    with under_autocast():
        low = re_synthesis_loss(perceptual, rgb, output, WEIGHTS, kind)
    gradients = [torch.autograd.grad(found["loss"], output)[0] for found in (plain, low)]
    assert plain == low and torch.equal(*gradients)


def test_re_synthesizer_and_detectors_learn_together_from_what_they_are_scored_on(rgb):
    torch.manual_seed(0)
    model = EndToEnd(**BTS)
    model.re_synthesizer.requires_grad_(True)
    loss, found = joint_loss(model, degradations.noise, WEIGHTS), []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(loss(model, {"rgb": rgb.repeat(2, 1, 1, 1), "label": torch.tensor([0, 0, 1, 1])}))
    assert torch.equal(*(losses["reconstruction"] for losses in found))
    found[1]["loss"].backward()
    gradients = [p.grad for p in model.re_synthesizer.parameters()]
    assert all(g.dtype == torch.float32 and g.isfinite().all() and g.any() for g in gradients)
