"""The joint loss: the re-synthesizer really learns, from clean and from degraded photographs, and the release's not."""

import copy

import pytest
import torch
from torch.nn import functional as F

from lib.bts import degradations, residuals
from lib.bts.detector import BeyondTheSpectrum, detector_loss
from lib.bts.joint_model import EndToEnd, joint_loss
from lib.bts.re_synthesizer import box_mean

RDN = {"num_features": 4, "growth_rate": 4, "num_blocks": 1, "num_layers": 1, "factor": 4}
OPTIONS = {"re_synthesizer": RDN, "perceptual": "efficientnet_lite0", "stages": [0, 5], "stage_weights": [0.5, 0.5],
           "width": 2, "layers": [1] * 4, "size": 64}  # fmt: skip
ALPHA = [1.0, 0.0, 0.0, 0.0, 0.0, 0.5]


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    model = EndToEnd(**OPTIONS, pretrained=False)
    return model, {"rgb": torch.rand(6, 3, 64, 64), "label": torch.tensor([0.0, 1, 0, 1, 0, 1])}


@pytest.fixture
def case(untrained):
    """A tiny model whose re-synthesizer may learn, and a batch of three photographs and three fakes."""
    model, batch = copy.deepcopy(untrained[0]), untrained[1]
    model.re_synthesizer.requires_grad_(True)
    return model.train(), dict(batch)


def step(model, batch, loss):
    """Take one step; returns the largest change of a weight of the re-synthesizer and of the detectors."""
    before = copy.deepcopy(model)
    torch.manual_seed(1)
    loss(model, batch)["loss"].backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1).step()
    parts = ((before.re_synthesizer, model.re_synthesizer), (before.detectors, model.detectors))
    return [max((a - b).abs().max().item() for a, b in zip(*map(list, map(torch.nn.Module.parameters, part)),
                                                         strict=True)) for part in parts]  # fmt: skip


def test_one_step_moves_the_re_synthesizer_and_one_of_the_release_does_not(case):
    model, batch = case
    frozen = copy.deepcopy(model)
    frozen.re_synthesizer.requires_grad_(False)
    assert all(change > 0 for change in step(model, batch, joint_loss(model, degradations.noise, ALPHA)))
    re_synthesizer, detectors = step(frozen, batch, joint_loss(frozen, degradations.noise, ALPHA))
    assert re_synthesizer == 0 < detectors


def test_the_cross_entropy_alone_reaches_the_re_synthesizer(case):
    model, batch = case
    change, _ = step(model, batch, joint_loss(model, degradations.noise, [0.0] * 6))
    assert change > 0


def test_the_loss_is_the_detectors_plus_eq_3_of_the_degraded_photographs(case):
    model, batch = case
    model.eval()
    torch.manual_seed(1)
    found = joint_loss(model, degradations.noise, ALPHA, detector_weight=0.25)(model, batch)
    torch.manual_seed(1)
    real = batch["rgb"][batch["label"] == 0]
    output = model.re_synthesizer(degradations.noise(box_mean(real), torch.default_generator))
    stages = [F.l1_loss(a, b) for a, b in zip(model.perceptual(output), model.perceptual(real), strict=True)]
    by_hand = F.l1_loss(output, real) + 0.5 * stages[4]
    assert torch.allclose(found["reconstruction"], by_hand)
    assert torch.allclose(found["cross_entropy"], detector_loss(model, batch))  # clean residuals, whatever Omega does
    assert torch.allclose(found["loss"], 0.25 * found["cross_entropy"] + by_hand)


def test_fakes_have_no_say_in_the_reconstruction(case):
    model, batch = case
    loss = joint_loss(model, degradations.identity, ALPHA)
    other = batch["rgb"].clone()
    other[batch["label"] == 1] = 0
    first, second = (loss(model, {**batch, "rgb": rgb})["reconstruction"] for rgb in (batch["rgb"], other))
    assert torch.equal(first, second)


def test_a_single_photograph_is_not_reconstructed_as_in_the_release(case):
    model, batch = case
    lonely = {**batch, "label": torch.tensor([0.0, 1, 1, 1, 1, 1])}
    found = joint_loss(model, degradations.noise, ALPHA)(model, lonely)
    assert found["reconstruction"] == 0
    assert found["loss"].requires_grad


def test_residuals_are_kept_only_while_the_re_synthesizer_stays_as_it_is(case, monkeypatch):
    model, batch = case
    made = []
    re_synthesize = model.re_synthesizer.re_synthesize
    monkeypatch.setattr(model.re_synthesizer, "re_synthesize", lambda rgb: made.append(0) or re_synthesize(rgb))
    with residuals.keep():
        for learns, passes in ((True, 2), (False, 1)):
            model.re_synthesizer.requires_grad_(learns)
            made.clear()
            for _ in range(2):
                stages = model.residuals(batch["rgb"])
            assert len(made) == passes
            assert all(stage.requires_grad == learns for stage in stages)


def test_checkpointing_for_large_images_gives_the_same_gradients(case):
    model, batch = case
    loss, gradients = joint_loss(model, degradations.noise, ALPHA), []
    for model.re_synthesizer.checkpoint in (False, True):
        torch.manual_seed(1)
        total = loss(model, batch)["loss"]
        gradients.append(torch.autograd.grad(total, list(model.re_synthesizer.parameters())))
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_its_weights_are_those_of_the_detector_that_scores(case):
    model, batch = case
    plain = BeyondTheSpectrum(**OPTIONS, pretrained=False).eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(plain.fake_probability(batch), model.eval().fake_probability(batch))
