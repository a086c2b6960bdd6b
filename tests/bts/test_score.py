import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lib import detectors, params, paths
from lib.bts import score, sets, testing, wiped
from lib.evaluation import score_files


@pytest.fixture
def run(gan_settings, gan_table):
    """Trains and scores a detector at a tiny scale."""

    def run_it(name, source, **changes):
        settings = gan_settings.replace(bts_detectors=gan_settings.bts_detectors.replace(**changes))
        return score.run((name, source), table=gan_table, others=wiped.make(gan_table, 32, 0), size=32, seed=0,
                         re_synthesizer=settings.re_synthesizer, residual_detectors=settings.residual_detectors,
                         bts_detectors=settings.bts_detectors)  # fmt: skip

    return run_it


@pytest.fixture
def command(gan_settings, tmp_path, monkeypatch):
    """Runs the command line at the tiny scale, within this process, behind that of +E and +P."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    for module in (score, wiped):
        monkeypatch.setattr(
            module, "load", lambda: gan_settings.replace(machine=gan_settings.machine.replace(threads=0))
        )
    wiped.main([])
    return score.main


def test_a_file_of_scores_holds_every_test(run):
    scored = run("1D-Spectrum", "StyleGAN")
    assert {"val", "raw", "E", "P", "jpeg 50", "blur 5"} <= set(scored["test"])
    assert set(scored.loc[scored["test"].isin(["R", "A"]), "label"]) <= {1}
    assert set(scored.loc[scored["test"].isin(["E", "P"]), "label"]) == {0, 1}, "photographs are changed, too"
    assert set(scored.loc[scored["test"] == "val", "method"]) == {"CelebA-HQ", "StyleGAN"}
    pd.testing.assert_frame_equal(score.read("1D-Spectrum", "StyleGAN"), scored)


def test_scores_are_made_again_where_a_test_or_the_weights_have_changed_and_read_otherwise(run, monkeypatch):
    made = []
    opinions = score.opinions
    monkeypatch.setattr(score, "opinions", lambda *given: made.append(0) or opinions(*given))
    run("1D-Spectrum", "StyleGAN")
    first = len(made)
    run("1D-Spectrum", "StyleGAN", sources=["StyleGAN"], gram_width=8)  # what others are
    assert first == len(made) > 0
    run("1D-Spectrum", "StyleGAN", curve_images=1)
    assert len(made) == 2 * first


def test_scores_that_are_not_there_are_one_line_that_says_what_makes_them(gan_settings):
    with pytest.raises(FileNotFoundError, match="GramNet/ProGAN.csv: no such scores; `.*` makes them"):
        score.read("GramNet", "ProGAN")


def test_generators_learned_side_by_side_give_the_scores_of_each_alone(run, tmp_path, monkeypatch):
    environment = {**os.environ, "DEEPFAKE_PARAMS": str(tmp_path / "params.yaml"), "DEEPFAKE_SCALE": "smoke"}
    environment |= {"DEEPFAKE_OUTPUTS": str(tmp_path / "both"), "OMP_NUM_THREADS": "2"}
    settings = params.load("smoke", file=tmp_path / "params.yaml")
    table = score.layouts.images(settings.data.generated, settings.seed, settings.re_synthesizer.limit)
    size = settings.re_synthesizer.size
    monkeypatch.setattr(paths, "WIPED", tmp_path / "both" / "wiped")
    others = wiped.make(table, size, settings.seed)
    command = [sys.executable, "-m", "lib.bts.score", "FFT-2d"]
    ended = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "FFT-2d against StyleGAN, raw:" in ended.stdout
    for source in ("ProGAN", "StyleGAN"):
        file = tmp_path / "both" / "results" / "scores" / "bts" / "FFT-2d" / f"{source}.csv"
        sections = {name: getattr(settings, name) for name in ("residual_detectors", "bts_detectors")}
        alone = score.run(("FFT-2d", source), table=table, others=others, size=size, seed=settings.seed, **sections)
        np.testing.assert_allclose(score_files.read(file)["score"], alone["score"], rtol=1e-5)


def test_a_further_test_set_is_scored_as_soon_as_its_folder_is_there(gan_settings, gan_table):
    there = gan_settings.test_sets.replace(R=gan_settings.data.generated)
    others = score.further(there, gan_settings.seed)
    assert list(others) == ["R"]
    names = {
        n: part for n, part, _ in testing.tests(gan_table, others, "ProGAN", 32, gan_settings.bts_detectors, 0, {})
    }
    assert set(names["R"]["label"]) == {1}
    assert "A" not in names


def test_every_test_is_of_test_images_alone_but_for_the_validation_images_of_val(gan_settings, gan_table):
    further, seen = {"R": gan_table, "FFHQ": gan_table}, {}
    for name, rows, items in testing.tests(gan_table, further, "ProGAN", 32, gan_settings.bts_detectors, 0, {}):
        seen[name] = set(rows["split"])
        assert getattr(items, "images", items).paths == rows["path"].tolist(), "the images of the rows"
    assert seen.pop("val") == {"val"}
    assert {"raw", "R", "FFHQ", "jpeg 50", "noise 4"} <= set(seen)
    assert set.union(*seen.values()) == {"test"}


def test_robustness_curves_are_of_all_test_people(gan_settings, gan_table):
    many = pd.concat([gan_table.assign(identity=gan_table["identity"] + f"/{n}", path=gan_table["path"] + str(n))
                      for n in range(9)])  # fmt: skip
    few = sets.spread(sets.rows(many.sort_values("identity"), "test"), 6)
    every = sets.rows(many, "test")
    assert few["label"].value_counts().to_dict() == {0: 6, 1: 6}
    apart = [abs(np.diff(np.flatnonzero(every.sort_values("identity").query("label == @label")["identity"]
                                        .isin(few["identity"])))) for label in (0, 1)]  # fmt: skip
    assert all(gaps.max() - gaps.min() <= 1 for gaps in apart), "at equal distances"
    assert len(sets.spread(every, 999)) == len(every)


def test_robustness_curves_change_photographs_as_they_change_fakes(gan_settings, gan_table):
    all_tests = testing.tests(gan_table, {}, "ProGAN", 32, gan_settings.bts_detectors, 0, {})
    items = {name: items for name, _, items in all_tests}["noise 4"]
    same = [torch.equal(changed["rgb"], whole["rgb"]) for changed, whole in zip(items, items.images, strict=True)]
    assert len(same) > 4 and not any(same)


def test_scenes_fill_table_3_from_real_and_fake_folders_and_a_missing_one_is_named(
    gan_settings, tmp_path, monkeypatch, command
):
    with pytest.raises(SystemExit, match=r"scenes.bedroom.root: no folder at data/LSUN/bedroom"):
        command(["PRNU", "--scene", "bedroom"])
    random = np.random.default_rng(0)
    for kind in ("real", "fake"):
        (tmp_path / "bedroom" / kind).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "bedroom" / kind / f"{kind}{number}.png")
    bedroom = params.DataSet(layout="folders", root=str(tmp_path / "bedroom"))
    settings = gan_settings.replace(
        scenes=gan_settings.scenes.replace(bedroom=bedroom), machine=gan_settings.machine.replace(threads=0)
    )
    monkeypatch.setattr(score, "load", lambda: settings)
    with pytest.raises(SystemExit, match="bedroom/E: images are missing .* run `python -m lib.bts.wiped`"):
        command(["SR", "--scene", "bedroom"])
    monkeypatch.setattr(wiped, "load", lambda: settings)
    wiped.main([])
    command(["SR", "--scene", "bedroom"])
    scored = score.read("SR", sets.ALL, "bedroom")
    assert {"real", "fake"} == set(scored.loc[scored["test"] == "raw", "method"])
    assert (paths.CHECKPOINTS / "bts" / "bedroom" / "SR_all.safetensors").is_file()
    assert (paths.CHECKPOINTS / "bts" / "bedroom" / "re_synthesizer" / "SR.safetensors").is_file()


def test_a_typo_in_any_name_is_told_before_anything_is_trained(command, monkeypatch):
    monkeypatch.setattr(score, "run", lambda *_, **__: pytest.fail("trained"))
    for given, wanted in ((["PRNU", "Gramnet"], "did you mean GramNet"), (["PRNU", "--source", "Progan"], "ProGAN"),
                          (["PRNU", "--scene", "bedrom"], "bedroom")):  # fmt: skip
        with pytest.raises(SystemExit, match=wanted):
            command(given)


def test_a_whole_run_trains_what_all_notebooks_show_and_leaves_nothing_of_a_detector_that_is_no_more(
    command, monkeypatch, gan_settings
):
    seen = []
    scored = pd.DataFrame({"test": ["raw"], "label": [1], "score": [0.9]})
    monkeypatch.setattr(score, "run", lambda job, **_: seen.append(job) or scored)
    old = [paths.CHECKPOINTS / "bts" / "Gone_ProGAN.safetensors", paths.HISTORY / "bts" / "Gone_ProGAN.csv",
           score.file("Gone", "ProGAN"), score.file("PRNU", "StyleGAN")]  # fmt: skip
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    command(["PRNU"])
    assert [path.is_file() for path in old] == [True] * 4
    command([])
    assert [path.is_file() for path in old] == [False, False, False, True]
    pairs = {(name, source) for name in detectors.names("bts") for source in ("ProGAN", "StyleGAN")}
    assert set(seen) == pairs | {("SR", "all"), ("Image", "all")}


def test_scenes_are_learned_at_their_own_size_and_no_face_is_shown_to_their_detectors(
    gan_settings, tmp_path, monkeypatch
):
    data = gan_settings.data.generated
    scenes = gan_settings.scenes.replace(bedroom=data.replace(size=16, resize=True))
    settings = gan_settings.replace(scenes=scenes, test_sets=gan_settings.test_sets.replace(R=data))
    small = settings.replace(
        machine=settings.machine.replace(threads=0), re_synthesizer=settings.re_synthesizer.replace(patch=16)
    )
    monkeypatch.setattr(score, "load", lambda: small)
    trained, seen, wiped = [], [], []
    monkeypatch.setattr(score.wiped, "read", lambda table, size, *given: wiped.append(size) or {})
    monkeypatch.setattr(score.re_synthesis, "train_all", lambda settings, *given: trained.append(settings.size))
    scored = pd.DataFrame({"test": ["raw"], "label": [1], "score": [0.9]})
    monkeypatch.setattr(score, "run", lambda job, **given: seen.append(given) or scored)
    score.main(["PRNU", "--scene", "bedroom"])
    score.main(["PRNU"])
    assert trained == [16] and wiped == [16, 32]
    assert [given["size"] for given in seen] == [16, 32, 32]
    assert [given["re_synthesizer"].size for given in seen] == [16, 32, 32]
    assert [list(given["others"]) for given in seen] == [[], ["R"], ["R"]]


def test_a_test_set_is_seen_at_its_own_size_by_detectors_that_take_any(gan_settings, gan_table, monkeypatch):
    others, sizes = {"StarGAN2": gan_table}, {"StarGAN2": 24}
    settings = gan_settings.bts_detectors
    items = {name: part for name, _, part in testing.tests(gan_table, others, "ProGAN", 32, settings, 0, sizes)}
    assert (items["StarGAN2"].size, items["raw"].size) == (24, 32)
    given = []
    monkeypatch.setattr(score.testing, "tests", lambda *arguments: given.append(arguments[-1]) or [])
    sections = {"re_synthesizer": gan_settings.re_synthesizer, "bts_detectors": settings,
                "residual_detectors": gan_settings.residual_detectors}  # fmt: skip
    for name in ("Image", "1D-Spectrum"):
        with pytest.raises(ValueError, match="No objects to concatenate"):
            score.run((name, "ProGAN"), table=gan_table, others=others, size=32, seed=0, sizes=sizes, **sections)
    assert given == [sizes, {}], "a spectrum has the length of one size"


def test_a_test_set_of_another_size_stops_the_command_with_its_key(gan_settings, tmp_path, monkeypatch):
    for source in ("CelebA-HQ", "ProGAN"):
        (tmp_path / "small" / source).mkdir(parents=True)
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "small" / source / f"{number}.png")
    small = params.DataSet(layout="CelebA-HQ", root=str(tmp_path / "small"))
    monkeypatch.setattr(score, "run", lambda *_, **__: pytest.fail("trained"))
    for changes, wanted in (({"R": small}, "test_sets.R: the images of .*/small are of 16 px and would be enlarged"),):
        monkeypatch.setattr(score, "load", lambda changes=changes: gan_settings.replace(
            test_sets=gan_settings.test_sets.replace(**changes)))  # fmt: skip
        with pytest.raises(SystemExit, match=wanted):
            score.main(["PRNU"])
