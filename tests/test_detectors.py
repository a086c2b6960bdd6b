"""lib.detectors: each detector of both papers can learn, and a high score means fake from the table to the score."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from lib import detectors
from lib.bts import residuals, sets
from lib.bts import train as bts_train
from lib.bts.re_synthesizer import RDN, rdn_options
from lib.data.image import resize, write_png
from lib.data.items import FaceImages
from lib.evaluation.predict import predict
from lib.pel import train as pel_train
from lib.rivals import add_net
from lib.training import checkpoints

SIZE = 32
NAMES = [name for table in ("bts", "pel") for name in detectors.names(table) if not name.startswith("SR+")]  # as SR
PRETRAINED = ("Multi-Att", "PEL", "RGB", "Freq")  # start from ImageNet weights, and need fewer steps


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A table of smooth photographs, and of fakes that are brighter and all bear the same pattern."""
    folder, rng, rows = tmp_path_factory.mktemp("toy"), np.random.default_rng(0), []
    pattern = rng.normal(40, 30, (SIZE, SIZE, 1))
    for split, count in (("train", 24), ("val", 8), ("test", 16)):
        for name in (f"{split}{number}" for number in range(count)):
            for label, method in enumerate(("photograph", "generator")):
                smooth = resize(rng.integers(60, 190, (4, 4, 3), dtype=np.uint8), SIZE)
                pixels = smooth + rng.normal(0, 3, smooth.shape) + label * pattern
                path = folder / method / f"{name}.png"
                write_png(path, pixels.round().clip(0, 255).astype(np.uint8))
                rows.append((str(path), label, method, f"{method}/{name}", f"{method}/{name}", split))
    return pd.DataFrame(rows, columns=["path", "label", "method", "video", "identity", "split"])


@pytest.fixture
def auc(gan_settings, toy, monkeypatch):
    """Trains a detector on the toy with the labels given, for a few steps: its AUC of test images by their own labels.

    A re-synthesizer has learned nothing: it repeats each pixel.
    """
    monkeypatch.setattr(add_net, "find", lambda faces: np.full((len(faces), 5, 2), np.nan, "f4"))
    rivals, faces = gan_settings.pel_detectors.replace(width=0.05), gan_settings.faces.replace(size=SIZE)
    budget = gan_settings.residual_detectors.replace(batch_size=8, epochs=5, width=4, learning_rate=0.03)

    def learn(name, labels):
        entry, table = detectors.entry(name), toy.assign(label=labels)
        if entry.shares:
            phi = RDN(**rdn_options(gan_settings.re_synthesizer)).start_as_repetition()
            checkpoints.save(phi, checkpoints.file(entry.shares), {})
        if entry.table == "bts":
            model, _ = bts_train.train(name, table, sets.ALL, SIZE, budget, 0, bts_detectors=gan_settings.bts_detectors,
                                       re_synthesizer=gan_settings.re_synthesizer)  # fmt: skip
        else:
            epochs, common = 2 if name in PRETRAINED else 6, gan_settings.pel.training
            few = common.replace(batch_size=8, epochs=epochs, warmup_epochs=0, decay_at=[], learning_rate=0.002)
            sections = {"pel": gan_settings.pel, "pel_detectors": rivals}
            model, _ = pel_train.train(entry, table, faces, few, 0, f"pel/{name}", **sections)
        test = toy[toy["split"] == "test"]
        return roc_auc_score(test["label"], predict(model, entry.items(FaceImages(test, SIZE), model)))

    with residuals.keep():
        yield learn


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_learns_what_is_plain_to_see_and_the_opposite_from_opposite_labels(auc, toy, name):
    assert auc(name, toy["label"]) > 0.9
    assert auc(name, 1 - toy["label"]) < 0.1
