import numpy as np
import pandas as pd
import torch

from lib import paths
from lib.bts import sets, train


def test_the_history_says_which_equation_each_epoch_learned_from(gan_settings, gan_table):
    _, history = train.train_re_synthesizer(gan_settings, gan_table)
    assert history["equation"].tolist() == ["Eq. 1", "Eq. 3"]
    assert np.isfinite(history[["loss", "val_loss"]]).all(axis=None)
    files = {file.name for file in paths.CHECKPOINTS.iterdir()}
    assert files == {"re_synthesizer_pixel.safetensors", "re_synthesizer.safetensors"}


def test_each_auxiliary_task_teaches_another_re_synthesizer_and_keeps_its_own_file(gan_settings, gan_table):
    weights = {
        task: train.train_re_synthesizer(gan_settings, gan_table, task)[0].output.weight for task in ("", "C", "D")
    }
    assert not torch.equal(weights[""], weights["C"])
    assert not torch.equal(weights[""], weights["D"])
    names = {file.stem for file in paths.CHECKPOINTS.iterdir()}
    assert {"re_synthesizer", "re_synthesizer_C", "re_synthesizer_D"} <= names


def test_a_generator_s_detector_never_sees_the_other_generator(gan_table):
    for generator, methods in {
        "ProGAN": {"CelebA-HQ", "ProGAN"},
        sets.ALL: {"CelebA-HQ", "ProGAN", "StyleGAN"},
    }.items():
        assert set(gan_table.iloc[sets.of_source(gan_table, generator)]["method"]) == methods


def test_a_single_kind_of_fake_is_trained_once():
    folders = pd.DataFrame({"label": [0, 1], "method": ["real", "fake"]})
    assert sets.sources(folders) == [sets.ALL]


def test_released_weights_are_taken_instead_of_training(gan_settings, gan_table, tmp_path):
    trained, _ = train.train_re_synthesizer(gan_settings, gan_table, name="first")
    torch.save(trained.state_dict(), tmp_path / "released.pth")
    section = gan_settings.re_synthesizer.replace(weights=str(tmp_path / "released.pth"))
    loaded, history = train.train_re_synthesizer(gan_settings.replace(re_synthesizer=section), gan_table)
    assert history["epoch"].tolist() == [0]
    assert (paths.CHECKPOINTS / "re_synthesizer.safetensors").is_file()
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), loaded.parameters(), strict=True))
