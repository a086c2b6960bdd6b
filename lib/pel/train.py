"""The networks of PEL's Tables 1 to 3, trained by the same code on the same faces."""

import re

from lib.data.items import Balanced
from lib.pel import network as pel_network
from lib.pel.sets import FaceSets, TrainingFaces
from lib.rivals import add_net, f3_net, meso_net, multi_att, xception
from lib.training import fit as training
from lib.training.device import seed_everything

# The streams of PEL and whether they are enhanced: RGB and Freq are its streams alone and bare.
STREAMS = {"PEL": (pel_network.STREAMS, True), "RGB": (("rgb",), False), "Freq": (("freq",), False)}


METHODS = ("MesoNet", "Xception", "Add-Net", "F3-Net", "Multi-Att", *STREAMS)


def make(method, params, seed):
    """Return a fresh network (the same for the same seed), its options as in checkpoints, and its loss.

    Raises ValueError for a method that is not in METHODS, RuntimeError where ImageNet weights cannot be had.
    """
    settings, size = params.pel_detectors, params.faces.size
    slim = {"pretrained": settings.pretrained, "width": settings.width}
    maps = {"backbone": settings.attention_backbone, "pretrained": params.pel.pretrained,
            "n_maps": settings.attention_maps, "texture_stage": settings.texture_stage}  # fmt: skip
    makers = {
        "MesoNet": (meso_net.MesoNet, {"size": size}, meso_net.loss),
        "Xception": (xception.Xception, slim, xception.loss),
        "Add-Net": (add_net.ADDNet, slim, add_net.loss),
        "F3-Net": (f3_net.F3Net, {"size": size, **slim}, xception.loss),
        "Multi-Att": (multi_att.MultiAtt, maps, multi_att.loss),
    }
    if method in STREAMS:
        streams, enhanced = STREAMS[method]
        return make_pel(params, streams, enhanced, enhanced, seed)
    if method not in makers:
        raise ValueError(f"method: {method!r} is not one of {', '.join(METHODS)}")
    network, options, loss = makers[method]
    seed_everything(seed)
    return network(**options), options, loss


def make_pel(params, streams, self_enhancement, mutual_enhancement, seed):
    """Return PEL, or some of its streams, with the options of params.pel; otherwise as `make`."""
    seed_everything(seed)
    options = {"backbone": params.pel.backbone, "streams": list(streams), "stride": params.pel.stride,
               "frequency_start": params.pel.frequency_start,
               "self_enhancement": self_enhancement, "mutual_enhancement": mutual_enhancement}  # fmt: skip
    return pel_network.PEL(pretrained=params.pel.pretrained, **options), options, pel_network.loss


def trained(method, params, name=None, seed=None, sets=None):
    """Train a method on the data set `name` (by default data.forged), or load it; return it and its history.

    PEL and RGB on data.forged have the budget of params.pel.training and are the checkpoints pel and pel_rgb; all
    others have that of params.pel_detectors.training.
    """
    sets, seed = sets or FaceSets(params), params.seed if seed is None else seed
    own = name in (None, sets.own)
    settings = params.pel.training if own and method in ("PEL", "RGB") else params.pel_detectors.training
    model, options, loss = make(method, params, seed)
    data = TrainingFaces(method, params, sets.table(name or sets.own))
    config = {"method": method, "model": options}
    checkpoint = checkpoint_name(method, "" if own else name) + ("" if seed == params.seed else f"_seed{seed}")
    return model, fit(model, loss, data, settings, checkpoint, seed, config, params)


def fit(model, loss, data, settings, name, seed, config, params):
    """Call train.fit on TrainingFaces: as many fakes as reals an epoch, the best by AUC on the validation people kept.

    A frequency stream first hears every frequency equally loud.
    """
    if "freq" in getattr(model, "streams", ()) and params.pel.frequency_start == "pretrained":
        model.standardise_frequencies(data.sample())
    balanced = Balanced(data.splits["train"], data.train, seed)
    if isinstance(model, multi_att.MultiAtt):
        model.regional.epoch_steps = max(1, len(balanced) // settings.batch_size)
    config = {**config, "faces": params.faces.model_dump()}
    return training.fit(model, loss, balanced, settings, name, seed=seed, validate=data.validate, config=config,
                     decay_at=settings.decay_at)  # fmt: skip


def checkpoint_name(method, name=""):
    """Return the name of the checkpoint of a method trained on data.forged, or else on the data set `name`."""
    own = {"PEL": "pel", "RGB": "pel_rgb"} if not name else {}
    return own.get(method, "_".join(["forgery", *re.findall(r"\w+", f"{method} {name}".lower())]))
