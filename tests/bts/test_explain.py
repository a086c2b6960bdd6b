"""Maps of the re-synthesis are hottest at its failures."""

import pytest
import torch

from lib.bts import explain
from lib.bts.detector import BeyondTheSpectrum

RDN = {"num_features": 8, "growth_rate": 4, "num_blocks": 1, "num_layers": 1, "factor": 4}


def make_bts(stages):
    torch.manual_seed(0)
    weights = [1 / len(stages)] * len(stages)
    return BeyondTheSpectrum(RDN, "efficientnet_lite0", stages, weights, 8, [1] * 4, 128).eval()


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
