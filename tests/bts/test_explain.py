"""Maps of the residual detectors point at the place that matters, and those of the re-synthesis at its failures."""

import pytest
import torch

from lib.backbones.resnet import ResidualDetector
from lib.bts import explain
from lib.bts.detector import BeyondTheSpectrum

RDN = {"num_features": 8, "growth_rate": 4, "num_blocks": 1, "num_layers": 1, "scale": 4}


def make_bts(stages):
    torch.manual_seed(0)
    weights = [1 / len(stages)] * len(stages)
    return BeyondTheSpectrum(RDN, "efficientnet_lite0", stages, weights, 8, [1] * 4, 128).eval()


def test_each_stage_of_beyond_the_spectrum_has_a_map_that_tells_places_apart():
    maps = explain.residual_maps(make_bts([0, 1, 5]), torch.rand(2, 3, 128, 128))
    assert list(maps) == ["pixel", "stage 1", "stage 5"]
    assert all(len(stream) == 2 and min(stream.shape[1:]) >= explain.SMALLEST for stream in maps.values())
    assert all(stream.flatten(1).std(1).min() > 0 for stream in maps.values())


def test_grad_cam_at_the_last_layer_is_the_class_activation_map():
    torch.manual_seed(0)
    detector = ResidualDetector(3, [1] * 4, width=4).eval()
    residual = torch.rand(2, 3, 128, 128)
    last = []
    detector.layer4.register_forward_hook(lambda _, __, output: last.append(output))
    cam = explain.grad_cam(detector, residual)
    weight = detector.fc.weight[1] - detector.fc.weight[0]
    expected = torch.einsum("nchw,c->nhw", last[0], weight) / cam[0].numel()
    assert torch.allclose(cam, expected, atol=1e-6)


def test_explaining_leaves_the_network_as_it_was():
    model = make_bts([0])
    detector = model.detectors[0]
    explain.residual_maps(model, torch.rand(1, 3, 128, 128))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(layer._forward_hooks for layer in detector.modules())
    assert not detector.training


class Pixels(torch.nn.Module):
    """Stands for a re-synthesizer that repeats each small pixel."""

    def re_synthesize(self, rgb):
        return torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(rgb, 4), scale_factor=4)


def failing_at(top, left, side=128):
    """Return grey rgb (1,3,side,side) with one box that no re-synthesis can know, and the model that fails there."""
    model = make_bts([0, 1, 5])
    model.re_synthesizer = Pixels()
    rgb = torch.full((1, 3, side, side), 0.5)
    rgb[..., top : top + 8, left : left + 8] = torch.tensor([0.0, 1.0]).repeat(8, 4)
    return model, rgb


def test_the_failure_maps_are_hottest_where_the_re_synthesis_fails_and_lie_over_the_picture():
    model, rgb = failing_at(24, 88)
    maps = explain.failure_maps(model, rgb)
    assert list(maps) == ["pixel", "stage 1", "stage 5"]
    for name, reach in {"pixel": 8, "stage 1": 12, "stage 5": 48}.items():
        assert maps[name].shape == (1, 128, 128)
        assert maps[name].min() >= 0
        row, column = divmod(maps[name][0].argmax().item(), 128)
        assert abs(row - 28) < reach and abs(column - 92) < reach


def test_a_failure_of_pixels_is_given_in_their_own_units():
    model, rgb = failing_at(24, 88)
    pixel = explain.failure_maps(model, rgb)["pixel"][0]
    assert pixel.max() == pytest.approx(0.5, abs=0.01)  # black and white against the grey of their mean
    assert pixel.sum() == pytest.approx(64 * 0.5, rel=1e-3)  # smoothing moves it and loses none
    assert pixel[64:].max() == 0


def test_failure_maps_take_other_sizes_than_that_of_the_training_and_keep_no_graph():
    maps = explain.failure_maps(make_bts([0, 5]), torch.rand(2, 3, 96, 160))
    assert all(stream.shape == (2, 96, 160) and not stream.requires_grad for stream in maps.values())
