import pytest
import timm
import torch

from lib.backbones import xception as backbone
from lib.backbones.xception import Trunk
from lib.rivals.xception import Xception, loss


def count(module):
    return sum(p.numel() for p in module.parameters())


def slim(**options):
    return Xception(pretrained=False, width=0.125, **options)


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return Xception(pretrained=False)


def test_the_papers_size_has_the_published_parameters_and_shapes(paper):
    assert count(paper) == 20_809_001
    x, shapes = torch.rand(1, 3, 299, 299, device="meta"), []
    for part in paper.trunk.parts():
        x = part(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes[0] == (64, 147, 147) and shapes[7] == (728, 19, 19) and shapes[-1] == (2048, 10, 10)
    assert paper(torch.rand(2, 3, 299, 299, device="meta")).shape == (2,)


def test_the_weights_that_timm_offers_fit_name_by_name_and_give_timms_features():
    with torch.device("meta"):
        theirs, ours = timm.create_model("legacy_xception", num_classes=0), Trunk(pretrained=False)
    shapes = [{name: x.shape for name, x in network.state_dict().items()} for network in (theirs, ours)]
    assert shapes[0] == shapes[1]
    theirs, ours = theirs.to_empty(device="cpu"), Trunk(pretrained=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(1, 3, 75, 75)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), theirs.eval().forward_features(x), atol=1e-4, rtol=1e-4)


def test_imagenet_weights_spread_over_more_channels_so_that_a_repeated_image_gives_the_same(monkeypatch):
    source = Trunk(pretrained=False)
    monkeypatch.setattr(backbone.timm, "create_model", lambda *args, **options: source)
    twelve, rgb = Trunk(12), torch.rand(1, 3, 75, 75)
    with torch.no_grad():
        features = twelve.eval()(rgb.repeat(1, 4, 1, 1))
        torch.testing.assert_close(features, source.eval()(rgb), atol=1e-4, rtol=1e-4)


def test_weights_that_cannot_be_had_are_one_line_with_a_way_out(monkeypatch):
    def offline(*args, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(backbone.timm, "create_model", offline)
    with pytest.raises(RuntimeError, match="Xception could not be fetched.*pretrained") as error:
        Xception()
    assert "\n" not in str(error.value)


def test_a_slim_one_learns_with_every_parameter():
    model = slim()
    value = loss(model, {"rgb": torch.rand(4, 3, 64, 64), "label": torch.tensor([0.0, 1, 0, 1])})
    value.backward()
    assert value.shape == () and count(model) < 1_000_000
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0.5}, "width: ImageNet weights exist for width 1"), ({"in_channels": 5}, "multiples of 3, not 5"),
     ({"pretrained": False, "width": 2}, "width: needs a share")],
)  # fmt: skip
def test_a_wrong_option_gets_one_line_that_names_it(options, message):
    with pytest.raises(ValueError, match=message):
        Trunk(**options)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64)])
def test_a_wrong_image_shape_gets_one_line_that_names_it(shape):
    with pytest.raises(ValueError, match="rgb: needs shape"):
        slim()(torch.rand(shape))
