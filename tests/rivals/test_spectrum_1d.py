import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_sample_image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from lib import detectors, params
from lib.data import perturb
from lib.rivals.prnu import pixels
from lib.rivals.spectrum_1d import SpectrumSVM, features
from lib.training import checkpoints


@pytest.fixture(scope="module")
def crops():
    """rgb (80, 3, 32, 32) of a photograph and labels: the fakes were enlarged, as up-convolutions do."""
    random, photograph, images = np.random.default_rng(0), load_sample_image("china.jpg"), []
    for index in range(80):
        y, x = random.integers(0, 380), random.integers(0, 600)
        crop = photograph[y : y + 32, x : x + 32]
        images.append(perturb.resize(crop, 0.5) if index % 2 else crop)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255, np.arange(80) % 2


def test_enlarged_images_are_told_from_photographs_and_by_what_scikit_learn_says(crops):
    rgb, labels = crops
    spectra = features(pixels(rgb))
    model = SpectrumSVM(32).fit(spectra[:40], labels[:40])
    reference = make_pipeline(StandardScaler(), SVC(kernel="linear")).fit(spectra[:40], labels[:40])
    np.testing.assert_allclose(model(rgb), reference.decision_function(spectra), atol=1e-8)
    assert ((model.fake_probability({"rgb": rgb[40:]}) > 0.5).numpy() == labels[40:]).mean() > 0.9


def test_the_hyperplane_is_saved_like_a_network(crops, tmp_path):
    rgb, labels = crops
    model = SpectrumSVM(32)
    items, table = [{"rgb": image} for image in rgb], pd.DataFrame({"label": labels})
    options = {"size": 32, **model.learn(items, table, items, table)}
    torch.testing.assert_close(model(rgb), SpectrumSVM(32).fit(features(pixels(rgb)), labels)(rgb))
    checkpoints.save(model, tmp_path / "svm.safetensors", {"detector": "1D-Spectrum", "options": options})
    restored = detectors.restore(*checkpoints.load(tmp_path / "svm.safetensors"))
    assert torch.equal(restored(rgb), model(rgb))


def test_of_very_many_images_the_machine_learns_from_a_sample_of_each_source_and_reads_no_other(crops):
    rgb, labels = crops
    asked = []

    class Items(list):
        def __getitem__(self, index):
            asked.append(index)
            return {"rgb": rgb[index]}

    table = pd.DataFrame({"label": labels, "method": np.where(labels, "ProGAN", "CelebA-HQ")})
    model, again = SpectrumSVM(32, learns_from=10), SpectrumSVM(32, learns_from=10)
    model.learn(Items(rgb), table, None, None)
    assert len(asked) == len(set(asked)) == 20 and labels[asked].sum() == 10
    torch.testing.assert_close(model(rgb), SpectrumSVM(32).fit(features(pixels(rgb[asked])), labels[asked])(rgb))
    again.learn(Items(rgb), table, None, None)
    assert torch.equal(again(rgb), model(rgb))
    assert detectors.entry("1D-Spectrum").options(64, params.read("paper").bts_detectors)["learns_from"] > 0
