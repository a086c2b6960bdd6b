"""lib.forgery_detectors: every network of PEL's Tables 1 to 3 on the same faces, and no cell filled by accident."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from lib import forgery_detectors, paths, perturb
from lib.data import image
from lib.models import pel
from lib.params import DataSet, load

TRAINING = {"epochs": 1, "warmup_epochs": 0, "decay_at": [], "batch_size": 4}


def folder_of_faces(root, people, noise):
    rng = np.random.default_rng(len(people) + noise)
    for kind, strength in (("real", 0), ("fake", noise)):
        for person in people:
            pixels = np.full((64, 64, 3), 40 * (int(person) % 5), np.uint8) + rng.integers(0, 9, (64, 64, 3))
            pixels = pixels + strength * rng.integers(0, 2, (64, 64, 1))
            image.write_png(root / kind / person / "0000.png", pixels.astype(np.uint8))


@pytest.fixture
def params(tmp_path, monkeypatch):
    """params.yaml at smoke scale, for 64 px faces of tiny stand-ins of two data sets."""
    for name in ("CHECKPOINTS", "HISTORY", "UNFINISHED", "FACES"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(forgery_detectors, "SCORES", tmp_path / "scores")
    monkeypatch.setattr(forgery_detectors.landmarks, "find", lambda table: np.full((len(table), 5, 2), np.nan, "f4"))
    folder_of_faces(tmp_path / "own", [f"{n:03}" for n in range(30)], 60)
    folder_of_faces(tmp_path / "elsewhere", ["900", "901", "902"], 30)
    whole = load("smoke")
    settings = whole.forgery_detectors
    return dataclasses.replace(
        whole,
        data=dataclasses.replace(
            whole.data,
            forged=DataSet("folders", str(tmp_path / "own")),
            cross_forged=[DataSet("folders", str(tmp_path / "elsewhere"))],
        ),
        faces=dataclasses.replace(whole.faces, size=64),
        pel=dataclasses.replace(whole.pel, pretrained=False, batch_size=4),
        forgery_detectors=dataclasses.replace(
            settings, width=0.05, curve_images=4, training=dataclasses.replace(settings.training, **TRAINING)
        ),
    )


@pytest.mark.parametrize("method", forgery_detectors.METHODS)
def test_each_method_is_made_by_its_name_and_the_same_for_the_same_seed(params, method):
    (first, _, loss), (second, _, _) = (forgery_detectors.make(method, params, 3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    batch = {"rgb": torch.rand(2, 3, 64, 64), "mask": torch.ones(2, 1, 64, 64), "label": torch.tensor([0.0, 1.0])}
    value = loss(first.train(), batch)
    assert torch.isfinite(value["loss"] if isinstance(value, dict) else value)


def test_an_unknown_method_is_named_with_those_there_are(params):
    with pytest.raises(ValueError, match="^method: 'Xceptoin' is not one of MesoNet, Xception, "):
        forgery_detectors.make("Xceptoin", params, 0)


@pytest.mark.parametrize("method", ["MesoNet", "Add-Net"])
def test_a_method_is_scored_on_its_test_people_on_every_change_and_on_every_other_set(params, method):
    table = forgery_detectors.run(method, params)
    changes = {
        forgery_detectors.robustness_test(change, strength)
        for change, (_, strengths) in perturb.PEL_TABLE3.items()
        for strength in strengths[1:]
    }
    assert set(table["test"]) == {"own", "elsewhere", *changes}
    assert set(table["train"]) == {"own"}
    assert (table[table["test"] == "elsewhere"]["label"].value_counts() == 3).all()
    assert table["score"].between(0, 1).all()
    people = forgery_detectors.FaceSets(params).table("own").groupby("split")["identity"].agg(set)
    assert set(table[table["test"] != "elsewhere"]["identity"]) <= people["test"]
    read = forgery_detectors.read(params, [method])
    pd.testing.assert_frame_equal(read.drop(columns="network"), table, atol=1e-5)


def test_both_classes_are_on_every_point_of_the_robustness_curves(params):
    few = forgery_detectors.run("MesoNet", params).query("test == 'Gaussian blur 7'")
    assert set(few["label"]) == {0, 1}
    assert len(few) == 4


def test_pel_keeps_the_budget_and_the_checkpoint_of_notebook_06(params, monkeypatch):
    calls = []
    monkeypatch.setattr(forgery_detectors.train, "fit", lambda *given, **named: calls.append((given, named)))
    for method in ("PEL", "RGB", "Freq", "Xception"):
        forgery_detectors.trained(method, params)
    names, settings = [given[4] for given, _ in calls], [given[3] for given, _ in calls]
    assert names == ["pel", "pel_rgb", "forgery_freq", "forgery_xception"]
    assert settings == [params.pel, params.pel, *[params.forgery_detectors.training] * 2]
    assert calls[0][0][1] is pel.loss


def test_a_second_seed_and_a_second_training_set_leave_the_first_checkpoint_alone():
    names = [forgery_detectors.checkpoint_name("PEL", name) for name in ("", "FF++(LQ)", "WildDeepfake")]
    assert names == ["pel", "forgery_pel_ff_lq", "forgery_pel_wilddeepfake"]


def test_a_further_training_set_is_trained_on_once_it_is_named(params, capsys):
    params = dataclasses.replace(
        params, forgery_detectors=dataclasses.replace(params.forgery_detectors, train_on=["WildDeepfake"])
    )
    assert forgery_detectors.FaceSets(params).training() == ["own"]
    assert "WildDeepfake is not among own, elsewhere: name it in data.cross_forged" in capsys.readouterr().out


def test_the_sets_of_the_paper_go_by_the_names_of_its_tables(tmp_path):
    kinds = ("FaceForensics++", "WildDeepfake", "Celeb-DF-v2", "DeepfakeDetection", "DFDC-40-49", "folders")
    names = [forgery_detectors.set_name(DataSet(kind, str(tmp_path / "mine"), "c40")) for kind in kinds]
    assert names == ["FF++(LQ)", "WildDeepfake", "CelebDF", "DFD", "DFDC", "mine"]


def test_two_sets_of_one_name_are_an_error_not_a_mixture(params):
    twice = dataclasses.replace(params.data, cross_forged=params.data.cross_forged * 2)
    with pytest.raises(ValueError, match="^data.cross_forged: .*elsewhere would be a second elsewhere"):
        forgery_detectors.data_sets(dataclasses.replace(params, data=twice))


def test_a_set_for_testing_only_is_not_trained_on(params):
    table = forgery_detectors.FaceSets(params).table("own").query("split == 'test'")
    with pytest.raises(ValueError, match="^no face in split train, val: this data set is for testing only"):
        forgery_detectors.TrainingFaces("PEL", params, table)


def test_a_limit_keeps_the_shares_of_real_and_fake_faces():
    table = pd.DataFrame({"label": [0] * 10 + [1] * 40})
    assert forgery_detectors.spread(table, 10)["label"].value_counts().to_dict() == {1: 8, 0: 2}
    assert len(forgery_detectors.spread(table, 0)) == 50
