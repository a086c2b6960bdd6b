"""lib.rehearsal.stand_ins: what the rehearsal reads passes every check, and real loaders load its weights."""

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
import torchvision

from lib import params, preflight
from lib.backbones.efficientnet import create_efficientnet
from lib.backbones.xception import WEIGHTS as XCEPTION
from lib.backbones.xception import Trunk
from lib.bts.perceptual import Perceptual
from lib.bts.score import further
from lib.data import check, image, layouts, roots, wild_deepfake
from lib.pel.sets import data_sets
from lib.rehearsal import settings, stand_ins
from lib.rivals import gram_net
from lib.training.device import seed_everything


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All sets, with smaller pictures where the layout does not prescribe a size; and params.yaml."""
    folder, patch = tmp_path_factory.mktemp("rehearsal"), pytest.MonkeyPatch()
    patch.setattr(stand_ins, "SIDE", 128)
    stand_ins.faces.cache_clear()
    settings.write(folder)
    for name, write in stand_ins.SETS.items():
        write(folder / "stand_ins" / name)
    yield folder
    patch.undo()
    stand_ins.faces.cache_clear()


@pytest.fixture
def paper(folder):
    return params.read("paper", folder / "params.yaml")


def test_all_sets_are_where_the_settings_say_and_in_their_layouts(paper, folder):
    assert roots.wrong(paper) == []
    named = roots.data_sets(paper)
    assert all(data_set.root.startswith(str(folder)) for data_set in named.values())
    assert {key: check.layout(data_set) for key, data_set in named.items()} == dict.fromkeys(named, "")
    assert preflight.sources(paper.data.generated, paper.bts_detectors.sources) == []
    assert set(data_sets(paper.data)) == {"FF++(HQ)", "FF++(LQ)", "WildDeepfake", "CelebDF", "DFD", "DFDC"}


def test_pictures_have_the_papers_sizes_and_may_be_compared(paper):
    generated, size = layouts.images(paper.data.generated), paper.re_synthesizer.size
    others = further(paper.test_sets, paper.seed)
    assert set(others) == {"R", "A", "FFHQ", "StarGAN2"}
    tested = {name: (getattr(paper.test_sets, name), table) for name, table in others.items()}
    check.between({"data": (paper.data.generated, generated), **tested}, size)
    assert all(check.look(table) == {name: ([side], False) for name, (_, _) in check.look(table).items()}
               for side, table in ((1024, generated), (1024, others["FFHQ"]), (256, others["StarGAN2"])))  # fmt: skip
    for scene in (paper.scenes.bedroom, paper.scenes.church):
        check.between({"scene": (scene, layouts.images(scene))}, size)


def test_each_split_has_both_classes_of_each_source(paper):
    for table in (layouts.images(paper.data.generated), layouts.images(paper.scenes.church),
                  layouts.videos(paper.data.forged)):  # fmt: skip
        assert (table.groupby(["split", "label"]).size().unstack() > 0).all(axis=None)
    wild = next(each for each in paper.data.cross_forged if each.layout == "WildDeepfake")
    archives = {(label, split) for _, label, split, _ in wild_deepfake.archives(layouts.root_of(wild), paper.seed)}
    assert archives == {(label, split) for label in (0, 1) for split in layouts.SPLITS}


def test_a_picture_under_several_names_is_the_same_to_the_last_bit(paper):
    """What was computed of one then serves for the others: a pass at 1024 px takes 20 seconds on two cores."""
    table = layouts.images(paper.data.generated)
    pictures = [image.read_image(path) for path in table["path"]]
    for label in (0, 1):
        of_label = [picture for picture, each in zip(pictures, table["label"], strict=True) if each == label]
        assert all(np.array_equal(of_label[0], other) for other in of_label[1:])


@pytest.fixture
def hubs(tmp_path, monkeypatch):
    """The caches of both hubs in a folder, which is returned, and no network."""
    cache = stand_ins.hubs(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", cache["HF_HUB_CACHE"])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: f"{cache['TORCH_HOME']}/hub")
    monkeypatch.setattr(preflight, "answers", lambda url: False)
    return tmp_path


def test_preflight_names_no_weights_as_missing(paper, hubs, monkeypatch):
    small = lambda name, **options: torch.nn.Linear(1, 1)  # only the files are looked for
    monkeypatch.setattr(timm, "create_model", small)
    monkeypatch.setattr(torchvision.models, "get_model", small)
    assert len(preflight.weights(paper)) == 5
    for name in preflight.networks(paper).values():
        stand_ins.write_weights(hubs, name)
    assert preflight.weights(paper) == []


B4 = "tf_efficientnet_b4.ap_in1k"
LOADERS = {
    B4: (lambda: create_efficientnet(B4), timm.create_model, {}),
    XCEPTION: (Trunk, timm.create_model, {}),
    "resnet18": (lambda: gram_net.GramNet(64, True), torchvision.models.get_model, {}),
    "vgg19": (lambda: Perceptual("vgg19").network, torchvision.models.get_model, {"": "features."}),
}  # of a name: how lib loads it, how its stand-in was made, and what lib leaves out of the names of its weights


@pytest.mark.parametrize("name", LOADERS)
def test_a_pretrained_network_starts_from_the_stand_in(hubs, name):
    load, make, prefixes = LOADERS[name]
    stand_ins.write_weights(hubs, name)
    seed_everything(0)
    written = make(name).state_dict()
    seed_everything(1)
    loaded, prefix = load().state_dict(), prefixes.get("", "")
    same = [
        key
        for key, value in loaded.items()
        if value.dim() == 4 and torch.equal(value, written.get(prefix + key, value[:0]))
    ]
    convolutions = [key for key, value in loaded.items() if value.dim() == 4 and prefix + key in written]
    assert len(same) == len(convolutions) > 10
