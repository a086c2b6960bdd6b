import pytest
import torch

from lib import detectors, ops
from lib.pel.network import PEL
from lib.rivals.residual_stream import ThreeStreams, residual

SMALL = {"backbone": "tf_efficientnet_lite0", "pretrained": False, "drop_rate": 0}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ThreeStreams(**SMALL).eval()


def test_the_third_stream_sees_what_the_median_takes_away_and_its_gain_makes_it_one(model):
    items = [{"rgb": torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(seed))} for seed in range(6)]
    model.prepare(items, 1)
    rgb = torch.stack([item["rgb"] for item in items])
    assert torch.equal(residual(rgb), rgb - ops.median_filter(rgb, 3))
    assert model._input(rgb, "residual").std() == pytest.approx(1, abs=1e-4)
    flat = torch.full((1, 3, 32, 32), 0.5)
    assert model._input(flat, "residual").abs().max() == 0


def test_each_stream_has_a_say_and_a_map_of_its_own(model):
    rgb = torch.rand(2, 3, 64, 64)
    maps = model.activation_maps(rgb)
    assert list(maps) == ["rgb", "freq", "residual"]
    with torch.no_grad():
        whole = sum(m.mean((1, 2)) for m in maps.values()) + model.classifier.bias
        torch.testing.assert_close(model(rgb), whole)
    model.zero_grad()
    model(rgb).sum().backward()
    silent = [name for name, p in model.named_parameters() if "trunks.residual" in name and not p.grad.abs().sum()]
    assert not [name for name in silent if "conv" in name]


def test_with_two_streams_it_is_pel():
    torch.manual_seed(0)
    two = ThreeStreams(**SMALL, streams=("rgb", "freq"))
    torch.manual_seed(0)
    pel = PEL(**SMALL)
    shapes = lambda model: {name: value.shape for name, value in model.state_dict().items()}
    assert shapes(pel).items() <= shapes(two).items()
    two.load_state_dict(pel.state_dict(), strict=False)
    rgb = torch.rand(1, 3, 32, 32)
    assert torch.equal(two.eval()(rgb), pel.eval()(rgb))


def test_pel_knows_no_third_stream_and_the_list_names_both():
    with pytest.raises(ValueError, match="streams: needs one or more of rgb, freq"):
        PEL(**SMALL, streams=("rgb", "residual"))
    assert detectors.names("more") == ["PEL+residual", "SBI"]
