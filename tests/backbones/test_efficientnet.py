import pytest
import timm
import torch
from sklearn.datasets import load_sample_image

from lib.backbones.efficientnet import create_efficientnet


def test_the_installed_imagenet_weights_recognise_a_photograph():
    model = create_efficientnet("tf_efficientnet_lite0").eval()
    palace = torch.from_numpy(load_sample_image("china.jpg")[:, 100:527]).permute(2, 0, 1)[None] / 255
    palace = torch.nn.functional.interpolate(palace, (224, 224), mode="area")
    with torch.inference_mode():
        assert model((palace - 0.5) / 0.5).argmax().item() == 698  # ImageNet's class "palace"


def test_weights_that_cannot_be_had_are_named_with_a_way_out(monkeypatch):
    def offline(name, pretrained):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(RuntimeError, match=r"tf_efficientnet_b4\.ap_in1k .*tf_efficientnet_lite0") as error:
        create_efficientnet("tf_efficientnet_b4.ap_in1k")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["resnet50", "tf_efficientnet_b99"])
def test_a_backbone_that_is_no_efficientnet_is_named(name):
    with pytest.raises(ValueError, match=name):
        create_efficientnet(name)
