import pytest
import timm
import torch

from lib import params
from lib.backbones import xception
from lib.backbones.efficientnet import create_efficientnet
from lib.backbones.imagenet import normalise
from lib.bts.perceptual import Perceptual
from lib.pel.network import PEL
from lib.rivals.add_net import ADDNet
from lib.rivals.f3_net import F3Net
from lib.rivals.multi_att import MultiAtt
from lib.rivals.xception import Xception

LITE = "tf_efficientnet_lite0"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what timm calls the default
# A network, its backbone and the layer that reads the normalised image.
NETWORKS = {
    "PEL": (lambda: PEL(LITE, False), lambda m: m.trunks["rgb"], lambda m: m.trunks["rgb"].conv_stem),
    "Multi-Att": (lambda: MultiAtt(LITE, False), lambda m: m.trunk, lambda m: m.trunk.conv_stem),
    "Xception": (lambda: Xception(False, 0.125), lambda m: m.trunk, lambda m: m.trunk.conv1),
    "Add-Net": (lambda: ADDNet(False, 0.125), lambda m: m.trunk, lambda m: m.trunk.conv1),
    "F3-Net": (lambda: F3Net(64, False, 0.125), lambda m: m.trunks["fad"], lambda m: m.decomposition),
    "perceptual": (lambda: Perceptual("efficientnet_lite0", False), lambda m: m.network, lambda m: m.network.conv_stem),
}


def read_by(network, rgb, mean=None, std=None):
    """Return what the first layer of one of NETWORKS reads of rgb; mean, std: where its weights state others."""
    make, backbone, layer = NETWORKS[network]
    model, read = make().eval(), []
    if mean:
        backbone(model).pretrained_cfg = {**backbone(model).pretrained_cfg, "mean": mean, "std": std}
    layer(model).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        model(rgb)
    return read[0]


@pytest.mark.parametrize("network", NETWORKS)
def test_an_image_is_normalised_as_the_weights_of_its_backbone_want_it(network):
    rgb = torch.rand(2, 3, 64, 64)
    assert torch.equal(read_by(network, rgb), 2 * rgb - 1)  # the mean and deviation 0.5 of the bundled weights
    ours = read_by(network, rgb, MEAN, STD)
    torch.testing.assert_close(ours, (rgb - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])


def test_mean_and_deviation_of_one_half_give_2_rgb_minus_1_to_the_last_bit():
    backbone = timm.create_model(LITE)
    for rgb in (torch.arange(256) / 255, torch.rand(768 * 99), torch.rand(768) * 1e-6):
        rgb = rgb.expand(3, -1).reshape(1, 3, 1, -1) if len(rgb) == 256 else rgb.reshape(1, 3, 1, -1)
        ours, theirs = (x.clone().requires_grad_() for x in (rgb, rgb))
        assert torch.equal(normalise(ours, backbone), 2 * theirs - 1)
        normalise(ours, backbone).sin().sum().backward()
        (2 * theirs - 1).sin().sum().backward()
        assert torch.equal(ours.grad, theirs.grad)


def test_training_works_after_a_first_image_under_inference_mode():
    backbone, rgb = timm.create_model(LITE), torch.rand(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    with torch.inference_mode():
        normalise(rgb, backbone)
    normalise(rgb, backbone).sum().backward()
    assert rgb.grad.any()


def test_every_backbone_of_the_papers_scale_has_seen_imagenet_alone():
    paper = params.read("paper")
    for name in (paper.pel.backbone, paper.pel_detectors.attention_backbone, xception.WEIGHTS):
        assert name in timm.list_pretrained(f"{name.partition('.')[0]}.*")
        assert not {"jft", "in12k", "in21k", "in22k"} & set(name.partition(".")[2].split("_"))


def test_xception_asks_for_its_weights_by_their_tag(monkeypatch):
    asked = []

    def offline(name, **options):
        asked.append(name)
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(RuntimeError, match="could not be fetched"):
        xception.Trunk()
    assert asked == ["legacy_xception.tf_in1k"]


@pytest.mark.parametrize("name", ["tf_efficientnet_b4", "tf_efficientnet_b4.jft", "efficientnet_b0"])
def test_a_backbone_that_leaves_its_weights_to_timm_is_refused_with_the_tags_of_imagenet(name, monkeypatch):
    monkeypatch.setattr(timm, "create_model", lambda *args, **options: pytest.fail("weights were asked for"))
    with pytest.raises(ValueError, match=f"^backbone: {name} does not say which weights") as error:
        create_efficientnet(name)
    plain = {"tf": "tf_efficientnet_b4.ap_in1k", "ef": "efficientnet_b0.ra_in1k"}[name[:2]]
    assert plain in str(error.value) and "ns_jft" not in str(error.value) and "\n" not in str(error.value)


def test_the_tag_of_weights_that_are_installed_may_be_written_out():
    plain, tagged = (create_efficientnet(name).state_dict() for name in (LITE, f"{LITE}.in1k"))
    assert all(torch.equal(plain[key], tagged[key]) for key in plain)
