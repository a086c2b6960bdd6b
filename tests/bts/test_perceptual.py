import numpy as np
import pytest
import torch
import torchvision

from lib.bts.perceptual import CHANNELS, Perceptual, equations, re_synthesis_loss
from lib.bts.re_synthesizer import RDN, box_mean, rdn_options

WEIGHTS = [1, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1]


@pytest.fixture(scope="module")
def lite0():
    return Perceptual("efficientnet_lite0")


@pytest.fixture(scope="module")
def vgg19():
    return Perceptual("vgg19", pretrained=False)


def test_vgg_is_read_at_the_layers_of_the_paper(vgg19):
    rgb = torch.rand(1, 3, 32, 32)
    names, x, wanted = {2: 1, 7: 2, 12: 3, 21: 4, 30: 5}, rgb, []  # relu1_1 .. relu5_1 end after so many layers
    for count, layer in enumerate(vgg19.network, start=1):
        x = layer(x)
        wanted += [x] if count in names else []
    for stage, target, divisor, channels in zip(vgg19(rgb), wanted, (1, 2, 4, 8, 16), CHANNELS["vgg19"], strict=True):
        assert stage.shape == (1, channels, 32 // divisor, 32 // divisor)
        assert stage.min() == 0  # after a ReLU
        torch.testing.assert_close(stage, target)
    assert sum(p.numel() for p in vgg19.parameters()) == 12_944_960


def test_lite0_is_read_at_the_strides_that_are_said(lite0):
    shapes = [tuple(stage.shape) for stage in lite0(torch.rand(1, 3, 64, 64))]
    sides = zip(CHANNELS["efficientnet_lite0"], (32, 16, 8, 4, 2), strict=True)
    assert shapes == [(1, channels, side, side) for channels, side in sides]


def test_theta_stays_as_it_is_while_a_network_trains_through_it(lite0):
    lite0.train()
    assert not any(module.training for module in lite0.modules())
    assert not any(p.requires_grad for p in lite0.parameters())
    before = {key: value.clone() for key, value in lite0.state_dict().items()}
    output = torch.rand(2, 3, 32, 32, requires_grad=True)
    re_synthesis_loss(lite0, torch.rand(2, 3, 32, 32), output, WEIGHTS)["loss"].backward()
    assert output.grad.abs().sum() > 0
    assert all(torch.equal(before[key], value) for key, value in lite0.state_dict().items())


def test_the_loss_is_equation_3_of_the_paper(lite0):
    rgb, output = torch.rand(2, 2, 3, 32, 32).unbind()
    pairs = [(rgb, output), *zip(lite0(rgb), lite0(output), strict=True)]
    terms = [weight * np.abs(a.numpy() - b.numpy()).mean() for weight, (a, b) in zip(WEIGHTS, pairs, strict=True)]
    loss = re_synthesis_loss(lite0, rgb, output, WEIGHTS)
    assert loss["loss"].item() == pytest.approx(sum(terms), rel=1e-5)
    assert loss["pixel"].item() == pytest.approx(terms[0], rel=1e-5)


def test_the_released_loss_is_that_of_train_sr(lite0):
    rgb, output = torch.rand(2, 2, 3, 32, 32).unbind()
    squares = [np.square(a.numpy() - b.numpy()).mean() for a, b in zip(lite0(rgb), lite0(output), strict=True)]
    wanted = np.abs(rgb.numpy() - output.numpy()).mean() + 0.2 * np.dot(WEIGHTS[1:], squares)
    assert re_synthesis_loss(lite0, rgb, output, WEIGHTS, "released")["loss"].item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", ["paper", "released"])
def test_a_re_synthesizer_learns_from_the_loss_that_params_yaml_names_and_to_undo_omega(lite0, gan_settings, kind):
    settings = gan_settings.re_synthesizer.replace(loss=kind, stage_weights=WEIGHTS)
    model, batch = RDN(**rdn_options(settings)), {"rgb": torch.rand(2, 3, 32, 32)}
    omega = lambda low_res, generator: low_res * torch.rand(low_res.shape, generator=generator)
    first, third = equations(lite0, omega, settings)
    torch.manual_seed(0)
    output = model(omega(box_mean(batch["rgb"]), torch.default_generator))
    by_hand = re_synthesis_loss(lite0, batch["rgb"], output, WEIGHTS, kind)
    for equation, wanted in ((first, by_hand["pixel"]), (lambda *given: third(*given)["loss"], by_hand["loss"])):
        torch.manual_seed(0)
        torch.testing.assert_close(equation(model, batch), wanted)


def test_a_perfect_re_synthesis_has_no_loss(lite0):
    rgb = torch.rand(1, 3, 32, 32)
    assert re_synthesis_loss(lite0, rgb, rgb.clone(), WEIGHTS)["loss"] == 0


def test_missing_vgg_weights_are_named_with_a_way_out(monkeypatch):
    def offline(weights, check_hash):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models.VGG19_Weights, "get_state_dict", offline)
    with pytest.raises(RuntimeError, match=r"VGG-19.*efficientnet_lite0"):
        Perceptual("vgg19")


def test_an_unknown_perceptual_network_is_named():
    with pytest.raises(ValueError, match="vgg16"):
        Perceptual("vgg16")
