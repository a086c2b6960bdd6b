"""lib.pel.score: every detector of PEL's Tables 1 to 3 on the same faces, and no cell filled by accident."""

import pandas as pd
import pytest

from lib import paths
from lib.data import perturb
from lib.params import ParamsError
from lib.pel import score, sets, testing, train
from lib.pel.sets import FaceSets
from lib.training import checkpoints


@pytest.fixture
def given(face_settings):
    """The arguments of score.run behind the name of a detector."""
    sets = FaceSets(face_settings.data, face_settings.faces, face_settings.pel_detectors, face_settings.seed)
    return sets, face_settings.pel, face_settings.pel_detectors, face_settings.training_seed


@pytest.mark.parametrize("name", ["MesoNet", "Add-Net"])
def test_a_detector_is_scored_on_its_test_people_on_every_change_and_on_every_other_set(given, name):
    score.run(name, *given)
    table = score.read([name])
    changes = {
        testing.robustness_test(change, strength)
        for change, (_, strengths) in perturb.PEL_TABLE3.items()
        for strength in strengths[1:]
    }
    assert list(table) == [*testing.COLUMNS, "network"]
    assert set(table["test"]) == {"own", "elsewhere", *changes}
    assert set(table["train"]) == {"own"}
    assert (table[table["test"] == "elsewhere"]["label"].value_counts() == 3).all()
    assert table["score"].between(0, 1).all()
    people = given[0].table("own").groupby("split")["identity"].agg(set)
    assert set(table[table["test"] != "elsewhere"]["identity"]) <= people["test"]
    few = table[table["test"] == "Gaussian blur 7"]
    assert set(few["label"]) == {0, 1} and len(few) == 4  # both classes on every point of the robustness curves


def test_what_is_fresh_is_neither_trained_nor_scored_again(given, monkeypatch):
    score.run_all(["MesoNet"], *given, threads=0)
    before = pd.read_csv(score.file("MesoNet"))
    monkeypatch.setattr(train.Balanced, "__getitem__", lambda *given: pytest.fail("trained again"))
    monkeypatch.setattr(testing, "predict", lambda *given: pytest.fail("scored again"))
    score.run_all(["MesoNet"], *given, threads=0)
    assert pd.read_csv(score.file("MesoNet")).equals(before)


def test_scores_are_made_again_where_the_tests_have_changed_and_the_training_is_not(given, monkeypatch):
    sets, pel, pel_detectors, seed = given
    score.run("MesoNet", *given)
    monkeypatch.setattr(train.Balanced, "__getitem__", lambda *given: pytest.fail("trained again"))
    score.run("MesoNet", sets, pel, pel_detectors.replace(curve_images=2), seed)
    assert (score.read(["MesoNet"])["test"] == "Gaussian blur 7").sum() == 2


def test_another_seed_is_another_training_of_the_same_tests(given):
    score.run("MesoNet", *given)
    first = score.read(["MesoNet"])
    score.run("MesoNet", *given[:3], seed=1)
    second = score.read(["MesoNet"])
    assert second.drop(columns="score").equals(first.drop(columns="score"))
    assert not second["score"].equals(first["score"])


def test_pel_which_takes_longest_starts_first(given, monkeypatch):
    jobs = []
    monkeypatch.setattr(score, "side_by_side", lambda work, given, threads: jobs.extend(given))
    score.run_all(["MesoNet", "PEL", "RGB", "Freq"], *given)
    assert jobs == ["PEL", "MesoNet", "RGB", "Freq"]


def test_missing_scores_are_one_line_and_nothing_is_trained(given, monkeypatch):
    monkeypatch.setattr(train, "fit", lambda *given, **named: pytest.fail("trained"))
    with pytest.raises(FileNotFoundError, match="pel/MesoNet.csv: no such scores; `dvc repro"):
        score.read(["MesoNet"])


def test_an_unknown_name_stops_the_command_before_anything_is_trained(monkeypatch, capsys):
    monkeypatch.setattr(score, "run_all", lambda *given: pytest.fail("trained"))
    with pytest.raises(SystemExit):
        score.main(["MesoNet", "Xceptoin"])
    assert "'Xceptoin'" in capsys.readouterr().err


def test_seeds_train_on_further_sets_and_a_rate_of_an_unknown_network_is_named(face_settings, monkeypatch):
    settings, trained = face_settings.pel_detectors.replace(seeds_train_on=["FF++(LQ)"]), []
    monkeypatch.setattr(score, "load", lambda: face_settings.replace(pel_detectors=settings))
    monkeypatch.setattr(score, "run_all", lambda names, sets, *given: trained.append(sets.train_on))
    score.main(["MesoNet"])
    score.main(["MesoNet", "--every"])
    assert trained == [[], ["FF++(LQ)"]]
    settings = settings.replace(learning_rates={"MesoNett": 0.001})
    with pytest.raises(ParamsError, match="pel_detectors.learning_rates: 'MesoNett' is not one of"):
        score.main(["MesoNet"])


def test_a_full_run_removes_what_a_removed_detector_left_and_a_partial_one_nothing(face_settings, monkeypatch):
    monkeypatch.setattr(score, "load", lambda: face_settings)
    monkeypatch.setattr(score, "run_all", lambda *given: None)
    left = [paths.RESULTS / "scores/pel/Gone.csv", paths.CHECKPOINTS / "pel/Gone.safetensors", score.file("PEL")]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    score.main(["PEL"])
    assert all(file.is_file() for file in left)
    score.main([])
    assert [file.is_file() for file in left] == [False, False, True]


def test_a_set_with_a_size_of_its_own_is_learned_at_that_size_and_tests_follow_their_detector(
    face_settings, monkeypatch
):
    elsewhere = face_settings.data.cross_forged[0].replace(size=32)

    settings = face_settings.replace(
        data=face_settings.data.replace(cross_forged=[elsewhere.replace(root=face_settings.data.forged.root)]),
        pel_detectors=face_settings.pel_detectors.replace(train_on=["WildDeepfake"]),
    )
    monkeypatch.setattr(sets, "set_name", lambda each: "WildDeepfake" if each.size else "own")
    given = FaceSets(settings.data, settings.faces, settings.pel_detectors, settings.seed)
    seen = []
    images = testing.FaceImages
    monkeypatch.setattr(testing, "FaceImages", lambda table, size: seen.append(size) or images(table, size))
    score.run("Xception", given, settings.pel, settings.pel_detectors, 0)
    config = {name: checkpoints.config(checkpoints.file(f"pel/{name}"))
              for name in ("Xception", "Xception_WildDeepfake")}  # fmt: skip
    assert {name: config[name]["faces"]["size"] for name in config} == {"Xception": 64, "Xception_WildDeepfake": 32}
    assert seen == [64, 64, 64, 32, 32, 32], "two tests and the changes, for each training set"


def test_face_images_that_would_be_enlarged_are_refused(face_settings):
    large = face_settings.faces.replace(size=128)
    given = FaceSets(face_settings.data, large, face_settings.pel_detectors, face_settings.seed)
    with pytest.raises(ParamsError, match=r"^own: the images of .*/own are of 64 px and would be enlarged to 128"):
        given.table("own")
