"""lib.pel.score: every network of PEL's Tables 1 to 3 on the same faces, and no cell filled by accident."""

import contextlib

import pandas as pd
import pytest
import torch

from lib.data import perturb
from lib.params import DataSet
from lib.pel import network, score, train
from lib.pel import sets as pel_sets


@pytest.mark.parametrize("method", train.METHODS)
def test_each_method_is_made_by_its_name_and_the_same_for_the_same_seed(face_settings, method):
    (first, _, loss), (second, _, _) = (train.make(method, face_settings, 3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    batch = {"rgb": torch.rand(2, 3, 64, 64), "mask": torch.ones(2, 1, 64, 64), "label": torch.tensor([0.0, 1.0])}
    value = loss(first.train(), batch)
    assert torch.isfinite(value["loss"] if isinstance(value, dict) else value)


def test_an_unknown_method_is_named_with_those_there_are(face_settings):
    with pytest.raises(ValueError, match="^method: 'Xceptoin' is not one of MesoNet, Xception, "):
        train.make("Xceptoin", face_settings, 0)


@pytest.mark.parametrize("method", ["MesoNet", "Add-Net"])
def test_a_method_is_scored_on_its_test_people_on_every_change_and_on_every_other_set(face_settings, method):
    table = score.run(method, face_settings)
    changes = {
        score.robustness_test(change, strength)
        for change, (_, strengths) in perturb.PEL_TABLE3.items()
        for strength in strengths[1:]
    }
    assert set(table["test"]) == {"own", "elsewhere", *changes}
    assert set(table["train"]) == {"own"}
    assert (table[table["test"] == "elsewhere"]["label"].value_counts() == 3).all()
    assert table["score"].between(0, 1).all()
    people = pel_sets.FaceSets(face_settings).table("own").groupby("split")["identity"].agg(set)
    assert set(table[table["test"] != "elsewhere"]["identity"]) <= people["test"]
    read = score.read(face_settings, [method])
    pd.testing.assert_frame_equal(read.drop(columns="network"), table, atol=1e-5)


def test_both_classes_are_on_every_point_of_the_robustness_curves(face_settings):
    few = score.run("MesoNet", face_settings).query("test == 'Gaussian blur 7'")
    assert set(few["label"]) == {0, 1}
    assert len(few) == 4


def test_pel_keeps_the_budget_and_the_checkpoint_of_notebook_06(face_settings, monkeypatch):
    calls = []
    monkeypatch.setattr(train.training, "fit", lambda *given, **named: calls.append((given, named)))
    for method in ("PEL", "RGB", "Freq", "Xception"):
        train.trained(method, face_settings)
    names, settings = [given[4] for given, _ in calls], [given[3] for given, _ in calls]
    assert names == ["pel", "pel_rgb", "forgery_freq", "forgery_xception"]
    assert settings == [*[face_settings.pel.training] * 2, *[face_settings.pel_detectors.training] * 2]
    assert calls[0][0][1] is network.loss


def test_a_second_seed_and_a_second_training_set_leave_the_first_checkpoint_alone():
    names = [train.checkpoint_name("PEL", name) for name in ("", "FF++(LQ)", "WildDeepfake")]
    assert names == ["pel", "forgery_pel_ff_lq", "forgery_pel_wilddeepfake"]


def test_a_further_training_set_is_trained_on_once_it_is_named(face_settings, capsys):
    wanted = face_settings.replace(pel_detectors=face_settings.pel_detectors.replace(train_on=["WildDeepfake"]))
    assert pel_sets.FaceSets(wanted).training() == ["own"]
    assert "WildDeepfake is not among own, elsewhere: name it in data.cross_forged" in capsys.readouterr().out


def test_the_sets_of_the_paper_go_by_the_names_of_its_tables(tmp_path):
    kinds = ("FaceForensics++", "WildDeepfake", "Celeb-DF-v2", "DeepfakeDetection", "DFDC-40-49", "folders")
    names = [pel_sets.set_name(DataSet(layout=kind, root=str(tmp_path / "mine"), compression="c40")) for kind in kinds]
    assert names == ["FF++(LQ)", "WildDeepfake", "CelebDF", "DFD", "DFDC", "mine"]


def test_two_sets_of_one_name_are_an_error_not_a_mixture(face_settings):
    twice = face_settings.data.replace(cross_forged=face_settings.data.cross_forged * 2)
    with pytest.raises(ValueError, match="^data.cross_forged: .*elsewhere would be a second elsewhere"):
        pel_sets.data_sets(face_settings.replace(data=twice))


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

    monkeypatch.setattr(pel_sets.accelerate, "PartialState", State)
    monkeypatch.setattr(pel_sets.faces, "prepare", lambda *given: list(waiting))
    sets = pel_sets.FaceSets(face_settings)
    sets.cut()
    assert sets.tables == {"own": ["the others"], "elsewhere": ["the others"]}


def test_a_set_for_testing_only_is_not_trained_on(face_settings):
    table = pel_sets.FaceSets(face_settings).table("own").query("split == 'test'")
    with pytest.raises(ValueError, match="^no face in split train, val: this data set is for testing only"):
        pel_sets.TrainingFaces("PEL", face_settings, table)


def test_a_limit_keeps_the_shares_of_real_and_fake_faces():
    table = pd.DataFrame({"label": [0] * 10 + [1] * 40})
    assert pel_sets.spread(table, 10)["label"].value_counts().to_dict() == {1: 8, 0: 2}
    assert len(pel_sets.spread(table, 0)) == 50
