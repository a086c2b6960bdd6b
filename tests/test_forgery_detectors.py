"""lib.forgery_detectors: every network of PEL's Tables 1 to 3 on the same faces, and no cell filled by accident."""

import contextlib
import dataclasses

import pandas as pd
import pytest
import torch

from lib import forgery_detectors, perturb
from lib.models import pel
from lib.params import DataSet


@pytest.mark.parametrize("method", forgery_detectors.METHODS)
def test_each_method_is_made_by_its_name_and_the_same_for_the_same_seed(face_settings, method):
    (first, _, loss), (second, _, _) = (forgery_detectors.make(method, face_settings, 3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    batch = {"rgb": torch.rand(2, 3, 64, 64), "mask": torch.ones(2, 1, 64, 64), "label": torch.tensor([0.0, 1.0])}
    value = loss(first.train(), batch)
    assert torch.isfinite(value["loss"] if isinstance(value, dict) else value)


def test_an_unknown_method_is_named_with_those_there_are(face_settings):
    with pytest.raises(ValueError, match="^method: 'Xceptoin' is not one of MesoNet, Xception, "):
        forgery_detectors.make("Xceptoin", face_settings, 0)


@pytest.mark.parametrize("method", ["MesoNet", "Add-Net"])
def test_a_method_is_scored_on_its_test_people_on_every_change_and_on_every_other_set(face_settings, method):
    table = forgery_detectors.run(method, face_settings)
    changes = {
        forgery_detectors.robustness_test(change, strength)
        for change, (_, strengths) in perturb.PEL_TABLE3.items()
        for strength in strengths[1:]
    }
    assert set(table["test"]) == {"own", "elsewhere", *changes}
    assert set(table["train"]) == {"own"}
    assert (table[table["test"] == "elsewhere"]["label"].value_counts() == 3).all()
    assert table["score"].between(0, 1).all()
    people = forgery_detectors.FaceSets(face_settings).table("own").groupby("split")["identity"].agg(set)
    assert set(table[table["test"] != "elsewhere"]["identity"]) <= people["test"]
    read = forgery_detectors.read(face_settings, [method])
    pd.testing.assert_frame_equal(read.drop(columns="network"), table, atol=1e-5)


def test_both_classes_are_on_every_point_of_the_robustness_curves(face_settings):
    few = forgery_detectors.run("MesoNet", face_settings).query("test == 'Gaussian blur 7'")
    assert set(few["label"]) == {0, 1}
    assert len(few) == 4


def test_pel_keeps_the_budget_and_the_checkpoint_of_notebook_06(face_settings, monkeypatch):
    calls = []
    monkeypatch.setattr(forgery_detectors.train, "fit", lambda *given, **named: calls.append((given, named)))
    for method in ("PEL", "RGB", "Freq", "Xception"):
        forgery_detectors.trained(method, face_settings)
    names, settings = [given[4] for given, _ in calls], [given[3] for given, _ in calls]
    assert names == ["pel", "pel_rgb", "forgery_freq", "forgery_xception"]
    assert settings == [face_settings.pel, face_settings.pel, *[face_settings.forgery_detectors.training] * 2]
    assert calls[0][0][1] is pel.loss


def test_a_second_seed_and_a_second_training_set_leave_the_first_checkpoint_alone():
    names = [forgery_detectors.checkpoint_name("PEL", name) for name in ("", "FF++(LQ)", "WildDeepfake")]
    assert names == ["pel", "forgery_pel_ff_lq", "forgery_pel_wilddeepfake"]


def test_a_further_training_set_is_trained_on_once_it_is_named(face_settings, capsys):
    wanted = dataclasses.replace(
        face_settings, forgery_detectors=dataclasses.replace(face_settings.forgery_detectors, train_on=["WildDeepfake"])
    )
    assert forgery_detectors.FaceSets(wanted).training() == ["own"]
    assert "WildDeepfake is not among own, elsewhere: name it in data.cross_forged" in capsys.readouterr().out


def test_the_sets_of_the_paper_go_by_the_names_of_its_tables(tmp_path):
    kinds = ("FaceForensics++", "WildDeepfake", "Celeb-DF-v2", "DeepfakeDetection", "DFDC-40-49", "folders")
    names = [forgery_detectors.set_name(DataSet(kind, str(tmp_path / "mine"), "c40")) for kind in kinds]
    assert names == ["FF++(LQ)", "WildDeepfake", "CelebDF", "DFD", "DFDC", "mine"]


def test_two_sets_of_one_name_are_an_error_not_a_mixture(face_settings):
    twice = dataclasses.replace(face_settings.data, cross_forged=face_settings.data.cross_forged * 2)
    with pytest.raises(ValueError, match="^data.cross_forged: .*elsewhere would be a second elsewhere"):
        forgery_detectors.data_sets(dataclasses.replace(face_settings, data=twice))


def test_several_processes_do_not_cut_the_same_faces_at_once(face_settings, monkeypatch):
    waiting = []

    class State:
        def __init__(self, **options):
            pass

        @contextlib.contextmanager
        def main_process_first(self):
            waiting.append("the others")
            yield
            waiting.clear()

    monkeypatch.setattr(forgery_detectors.accelerate, "PartialState", State)
    monkeypatch.setattr(forgery_detectors.faces, "prepare", lambda params, data_set: list(waiting))
    sets = forgery_detectors.FaceSets(face_settings)
    sets.cut()
    assert sets.tables == {"own": ["the others"], "elsewhere": ["the others"]}


def test_a_set_for_testing_only_is_not_trained_on(face_settings):
    table = forgery_detectors.FaceSets(face_settings).table("own").query("split == 'test'")
    with pytest.raises(ValueError, match="^no face in split train, val: this data set is for testing only"):
        forgery_detectors.TrainingFaces("PEL", face_settings, table)


def test_a_limit_keeps_the_shares_of_real_and_fake_faces():
    table = pd.DataFrame({"label": [0] * 10 + [1] * 40})
    assert forgery_detectors.spread(table, 10)["label"].value_counts().to_dict() == {1: 8, 0: 2}
    assert len(forgery_detectors.spread(table, 0)) == 50
