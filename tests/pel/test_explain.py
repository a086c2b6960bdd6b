"""Class activation maps of PEL: they add up to the score."""

import pytest
import torch

from lib.pel.explain import pel_maps
from lib.pel.network import PEL


@pytest.fixture(scope="module")
def pel():
    torch.manual_seed(0)
    return PEL("tf_efficientnet_lite0", pretrained=False, stride=2).eval()


def test_the_maps_of_both_streams_add_up_to_the_logit(pel):
    rgb = torch.rand(2, 3, 64, 96)
    maps = pel_maps(pel, rgb)
    assert list(maps) == ["rgb", "freq"]
    assert maps["rgb"].shape == maps["freq"].shape == (2, 2, 3)
    total = sum(stream.mean((1, 2)) for stream in maps.values()) + pel.classifier.bias
    assert torch.allclose(total, pel(rgb), atol=1e-5)


def test_a_single_stream_has_a_single_map():
    model = PEL("tf_efficientnet_lite0", pretrained=False, streams=["freq"]).eval()
    assert list(pel_maps(model, torch.rand(1, 3, 64, 64))) == ["freq"]
