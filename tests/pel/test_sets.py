"""lib.pel.sets: which faces are learned from and which are tested on."""

import contextlib

import pandas as pd
import pytest

from lib.params import DataSet
from lib.pel import sets as pel_sets


def face_sets(settings):
    return pel_sets.FaceSets(settings.data, settings.faces, settings.pel_detectors, settings.seed)


def test_a_further_training_set_is_trained_on_once_it_is_named(face_settings, capsys):
    wanted = face_settings.pel_detectors.replace(train_on=["WildDeepfake"])
    assert face_sets(face_settings.replace(pel_detectors=wanted)).training() == ["own"]
    assert "WildDeepfake is not among own, elsewhere: name it in data.cross_forged" in capsys.readouterr().out


def test_the_sets_of_the_paper_go_by_the_names_of_its_tables(tmp_path):
    kinds = ("FaceForensics++", "WildDeepfake", "Celeb-DF-v2", "DeepfakeDetection", "DFDC-40-49", "folders")
    sets = [DataSet(layout=kind, root=str(tmp_path / "mine"), compression="c40") for kind in kinds]
    names = [pel_sets.set_name(data_set) for data_set in sets]
    assert names == ["FF++(LQ)", "WildDeepfake", "CelebDF", "DFD", "DFDC", "mine"]


def test_two_sets_of_one_name_are_an_error_not_a_mixture(face_settings):
    twice = face_settings.data.replace(cross_forged=face_settings.data.cross_forged * 2)
    with pytest.raises(ValueError, match="^data.cross_forged: .*elsewhere would be a second elsewhere"):
        pel_sets.data_sets(twice)


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
    monkeypatch.setattr(pel_sets.data_faces, "prepare", lambda data_set, faces, seed: list(waiting))
    monkeypatch.setattr(pel_sets.check, "between", lambda named, size: None)
    sets = face_sets(face_settings)
    sets.cut()
    assert sets.tables == {"own": ["the others"], "elsewhere": ["the others"]}


def test_a_limit_keeps_the_shares_of_real_and_fake_faces():
    table = pd.DataFrame({"label": [0] * 10 + [1] * 40})
    assert pel_sets.spread(table, 10)["label"].value_counts().to_dict() == {1: 8, 0: 2}
    assert len(pel_sets.spread(table, 0)) == 50
