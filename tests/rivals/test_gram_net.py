import pytest
import torch
from torchvision.models import ResNet18_Weights, resnet18

from lib.rivals.gram_net import GramNet, gram


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return GramNet(width=8).eval()


def test_the_network_has_the_published_size():
    with torch.device("meta"):
        model = GramNet()
        features = model.features(torch.rand(2, 3, 64, 64))
    assert sum(p.numel() for p in model.parameters()) == 11_734_723
    assert features.shape == (2, 704)


def test_gram_matrices_are_symmetric_and_blind_to_where_a_texture_is():
    x = torch.rand(2, 5, 6, 7, dtype=torch.float64)
    textures = gram(x)
    assert textures.shape == (2, 5, 5)
    torch.testing.assert_close(textures, textures.mT)
    torch.testing.assert_close(textures, gram(x.roll((2, 3), (2, 3))))
    torch.testing.assert_close(textures[0, 1, 2], (x[0, 1] * x[0, 2]).sum() / (5 * 6 * 7))


@pytest.mark.parametrize("side", [32, 48])
def test_images_of_any_size_get_a_probability(small, side):
    probability = small.fake_probability({"rgb": torch.rand(2, 3, side, side)})
    assert probability.shape == (2,)
    assert ((probability > 0) & (probability < 1)).all()


def test_the_textures_reach_the_decision(small):
    rgb = torch.rand(1, 3, 32, 32)
    before = small.features(rgb)[:, -192:]
    assert before.abs().max() > 0
    with torch.no_grad():
        small.scale.mul_(2)
    torch.testing.assert_close(small.features(rgb)[:, -192:], 2 * before)


def test_imagenet_weights_are_taken_by_name(monkeypatch):
    torch.manual_seed(0)
    weights = resnet18().state_dict()
    monkeypatch.setattr(type(ResNet18_Weights.IMAGENET1K_V1), "get_state_dict", lambda *a, **k: dict(weights))
    model = GramNet(pretrained=True)
    assert torch.equal(model.layer4[1].conv2.weight, weights["layer4.1.conv2.weight"])
    assert torch.equal(model.layer2[0].downsample[0].weight, weights["layer2.0.downsample.0.weight"])


def test_imagenet_weights_that_cannot_be_had_are_named_with_a_way_out(monkeypatch):
    def offline(*arguments, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(type(ResNet18_Weights.IMAGENET1K_V1), "get_state_dict", offline)
    with pytest.raises(RuntimeError, match="ResNet-18.*set pretrained to false"):
        GramNet(pretrained=True)
    with pytest.raises(ValueError, match="width: 32"):
        GramNet(width=32, pretrained=True)


def test_its_map_tells_places_apart(small):
    (heat,) = small.activation_maps(torch.rand(2, 3, 64, 64)).values()
    assert len(heat) == 2
    assert heat.flatten(1).std(1).min() > 0
