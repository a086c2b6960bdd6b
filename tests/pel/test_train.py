"""lib.pel.train: every detector of PEL's Tables 1 to 3, by the same code on the same faces."""

import json

import pytest
import torch

from lib import detectors, paths
from lib.data import faces
from lib.evaluation.predict import predict
from lib.pel import network, train
from lib.rivals import add_net
from lib.training import staleness

NAMES = ["MesoNet", "Xception", "Add-Net", "F3-Net", "Multi-Att", "PEL", "RGB", "Freq"]


def sections(settings):
    return {"pel": settings.pel, "pel_detectors": settings.pel_detectors}


def trained(settings, name, **changes):
    entry = detectors.entry(name)
    table = faces.prepare(settings.data.forged, settings.faces, settings.seed)
    given = {"table": table, "faces": settings.faces, "budget": settings.pel.training, "seed": 0} | changes
    return train.train(entry, name=train.weights(name), **given, **sections(settings))


def test_the_detectors_of_the_tables_are_listed_in_their_order():
    assert detectors.names("pel") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_detector_is_made_by_its_name_the_same_for_the_same_seed_and_again_from_its_weights(face_settings, name):
    entry = detectors.entry(name)
    (first, options), (second, _) = (entry.make(3, 64, **sections(face_settings)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    batch = {"rgb": torch.rand(2, 3, 64, 64), "mask": torch.ones(2, 1, 64, 64), "label": torch.tensor([0.0, 1.0])}
    value = entry.loss(first.train(), batch)
    assert torch.isfinite(value["loss"] if isinstance(value, dict) else value)
    config = json.loads(json.dumps({"detector": name, "options": options}))
    again = detectors.restore(first.state_dict(), config)
    with torch.no_grad():
        scores = first.eval().fake_probability(batch)
        assert torch.equal(again.fake_probability(batch), scores)
    assert scores.shape == (2,) and scores.min() >= 0 and scores.max() <= 1


def test_another_seed_starts_from_another_network(face_settings):
    first, other = (detectors.entry("MesoNet").make(seed, 64, **sections(face_settings))[0] for seed in (3, 4))
    assert not torch.equal(first.classifier[2].weight, other.classifier[2].weight)


def test_an_unknown_detector_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="^detector: 'Xceptoin' is not one of .*MesoNet, Xception, "):
        detectors.entry("Xceptoin")


def test_all_networks_have_one_budget_but_for_a_learning_rate_that_params_yaml_names(face_settings):
    settings = face_settings.pel_detectors.replace(learning_rates={"MesoNet": 0.004})
    budgets = {name: train.budget(name, face_settings.pel, settings) for name in NAMES}
    assert budgets.pop("MesoNet") == face_settings.pel.training.replace(learning_rate=0.004)
    assert all(budget == face_settings.pel.training for budget in budgets.values())


def test_a_second_training_set_leaves_the_first_weights_alone():
    assert train.weights("PEL") == "pel/PEL"
    assert train.weights("Add-Net", "FF++(LQ)") == "pel/Add-Net_FF_LQ"


def test_what_was_trained_is_loaded_with_its_settings_and_says_the_same(face_settings):
    model, history = trained(face_settings, "Add-Net")
    again, read = train.load("pel/Add-Net")
    images = [{"rgb": torch.rand(3, 64, 64), "mask": torch.rand(1, 64, 64)} for _ in range(3)]
    assert predict(again, images).tolist() == predict(model, images).tolist()
    assert read.equals(history) and not again.training
    _, config = train.checkpoints.load(paths.CHECKPOINTS / "pel/Add-Net.safetensors")
    assert config["detector"] == "Add-Net" and config["faces"] == face_settings.faces.model_dump(exclude={"workers"})


def test_weights_that_are_missing_are_one_line_and_nothing_is_trained(face_settings, monkeypatch):
    monkeypatch.setattr(train, "fit", lambda *given, **named: pytest.fail("trained"))
    with pytest.raises(FileNotFoundError, match="PEL.safetensors: no such weights; `dvc repro"):
        train.load("pel/PEL")


@pytest.mark.parametrize(
    ("changed", "stale"),
    [("nothing", False), ("test faces", False), ("a training face", True), ("the size", True), ("the budget", True)],
)
def test_a_training_is_repeated_only_when_something_it_depends_on_has_changed(
    face_settings, monkeypatch, changed, stale
):
    trained(face_settings, "MesoNet")
    drawn, draw = [], train.Balanced.__getitem__
    monkeypatch.setattr(train.Balanced, "__getitem__", lambda self, row: (drawn.append(row), draw(self, row))[1])
    table = faces.prepare(face_settings.data.forged, face_settings.faces, face_settings.seed)
    changes = {
        "nothing": {},
        "test faces": {"table": table.drop(table.index[table["split"] == "test"][0])},
        "a training face": {"table": table.drop(table.index[table["split"] == "train"][0])},
        "the size": {"faces": face_settings.faces.replace(size=32)},
        "the budget": {"budget": face_settings.pel.training.replace(learning_rate=0.01)},
    }
    trained(face_settings, "MesoNet", **changes[changed])
    assert bool(drawn) == stale


def test_the_masks_make_add_net_stale_and_no_other_detector():
    masks = staleness._file(add_net.__name__)
    stale = [name for name in NAMES if masks in staleness.sources(train.__name__, *detectors.entry(name).code)]
    assert stale == ["Add-Net"]


def test_how_videos_are_read_and_what_is_tested_makes_no_training_stale():
    files = {file.name for name in NAMES for file in staleness.sources(train.__name__, *detectors.entry(name).code)}
    assert {"fit.py", "items.py", "noise.cpp", "efficientnet.py", network.__file__.rsplit("/", 1)[1]} <= files
    assert not files & {"faces.py", "layouts.py", "video.py", "jobs.py", "perturb.py", "score.py", "params.py"}


def test_a_set_for_testing_only_is_not_trained_on(face_settings):
    table = faces.prepare(face_settings.data.forged, face_settings.faces, face_settings.seed).query("split == 'test'")
    with pytest.raises(ValueError, match="^no face in split train, val: this data set is for testing only"):
        trained(face_settings, "PEL", table=table)
