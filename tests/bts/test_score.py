import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from lib import params, paths
from lib.bts import score, sets, train
from lib.bts.predict import stage_scores
from lib.data.items import FaceImages
from lib.rivals.spectrum_2d import FrequencyDetector


@pytest.mark.parametrize("method", train.METHODS)
def test_every_detector_of_table_1_is_trained_on_one_generator_and_scores_every_image(gan_settings, gan_table, method):
    model, _ = train.train_detector(gan_settings, gan_table, method, "ProGAN")
    test = sets.rows(gan_table, "test")
    scored = stage_scores(model, FaceImages(test, 32))
    assert len(scored) == len(test)
    assert scored.to_numpy().min() >= 0
    assert scored.to_numpy().max() <= 1
    assert any(file.stem.endswith("ProGAN") for file in paths.CHECKPOINTS.iterdir())


def test_a_file_of_scores_holds_every_test_and_is_read_instead_of_made_again(gan_settings, monkeypatch):
    scored = score.run(gan_settings, "1D-Spectrum", "StyleGAN")
    assert {"val", "raw", "E", "P", "jpeg 50", "blur 5"} <= set(scored["test"])
    assert not {"R", "A", "FFHQ", "StarGAN2"} & set(scored["test"]), "their folders are missing"
    assert set(scored.loc[scored["test"].isin(["E", "P"]), "label"]) == {1}, "photographs are left alone"
    assert set(scored.loc[scored["test"] == "val", "method"]) == {"CelebA-HQ", "StyleGAN"}
    monkeypatch.setattr(score, "run", lambda *_: pytest.fail("made again"))
    again = score.scores(gan_settings, "1D-Spectrum", "StyleGAN")
    pd.testing.assert_frame_equal(again, scored, check_exact=False, rtol=1e-4)


def test_generators_learned_side_by_side_give_the_scores_of_each_alone(gan_settings, tmp_path):
    environment = {**os.environ, "DEEPFAKE_PARAMS": str(tmp_path / "params.yaml"), "DEEPFAKE_SCALE": "smoke"}
    environment |= {"DEEPFAKE_OUTPUTS": str(tmp_path / "both"), "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "lib.bts.score", "FFT-2d"]
    ended = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "FFT-2d against StyleGAN, raw:" in ended.stdout
    settings = params.load("smoke", file=tmp_path / "params.yaml")
    for source in ("ProGAN", "StyleGAN"):
        both = pd.read_csv(tmp_path / "both" / "results" / "scores" / "bts" / "FFT-2d" / f"{source}.csv")
        alone = score.run(settings, "FFT-2d", source)
        np.testing.assert_allclose(both["score"], alone["score"], rtol=1e-5)


def test_a_further_test_set_is_scored_as_soon_as_its_folder_is_there(gan_settings):
    there = gan_settings.test_sets.replace(R=gan_settings.data.generated)
    settings = gan_settings.replace(test_sets=there)
    names = {name: part for name, part, _ in score.tests(settings, sets.image_table(settings), "ProGAN")}
    assert set(names["R"]["label"]) == {1}
    assert "A" not in names


def test_scenes_fill_table_3_from_real_and_fake_folders_and_a_missing_one_is_named(gan_settings, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"scenes.bedroom.root: no folder at data/LSUN/bedroom"):
        score.run(gan_settings, "PRNU", sets.ALL, "bedroom")
    random = np.random.default_rng(0)
    from PIL import Image

    for kind in ("real", "fake"):
        (tmp_path / "bedroom" / kind).mkdir(parents=True)
        for number in range(30):
            pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "bedroom" / kind / f"{kind}{number}.png")
    bedroom = params.DataSet(layout="folders", root=str(tmp_path / "bedroom"))
    settings = gan_settings.replace(scenes=gan_settings.scenes.replace(bedroom=bedroom))
    scored = score.run(settings, "1D-Spectrum", sets.ALL, "bedroom")
    assert {"real", "fake"} == set(scored.loc[scored["test"] == "raw", "method"])
    assert (paths.CHECKPOINTS / "bedroom_1d_spectrum.safetensors").is_file()


def test_a_typo_in_a_method_or_a_source_is_named(gan_settings):
    with pytest.raises(params.ParamsError, match="GramNet"):
        score.run(gan_settings, "Gramnet", "ProGAN")
    with pytest.raises(params.ParamsError, match="ProGAN"):
        score.run(gan_settings, "GramNet", "Progan")


def test_no_stage_left_for_sr_stages_is_one_clear_line(gan_settings, gan_table):
    full = gan_settings.residual_detectors.replace(stages=[1, 2, 3, 4, 5], stage_weights=[0.2] * 5)
    settings = gan_settings.replace(residual_detectors=full)
    with pytest.raises(params.ParamsError, match="leaves none to SR-stages"):
        train.train_detector(settings, gan_table, "SR-stages", "ProGAN")


def test_residuals_kept_in_memory_give_the_scores_of_residuals_made_anew(gan_settings, gan_table):
    model, _ = train.train_detector(gan_settings, gan_table, "SR", "ProGAN")
    test = sets.rows(gan_table, "test")
    kept = stage_scores(model, train.items_of(gan_settings, test, model, flip=False))
    anew = stage_scores(model, FaceImages(test, 32))
    np.testing.assert_allclose(kept, anew, atol=2e-3)  # kept as float16
    np.testing.assert_allclose(kept["Avg"], (kept["Pix"] + kept["Stage5"]) / 2, atol=1e-6)


def test_the_statistics_of_dct_2d_are_those_of_the_training_images_and_travel_with_the_weights(gan_settings, gan_table):
    model, _ = train.train_detector(gan_settings, gan_table, "DCT-2d", "ProGAN")
    learn = sets.rows(gan_table.iloc[sets.of_source(gan_table, "ProGAN")], "train")
    rgb = torch.stack([item["rgb"] for item in FaceImages(learn, 32)])
    standardised = model.spectrum(rgb)
    assert standardised.mean(0).abs().max() < 1e-3
    other = FrequencyDetector(**model.config)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.eval()(rgb), model(rgb))
