"""The end-to-end stage: only "joint" changes the re-synthesizer, and the table says so for each seed."""

import pandas as pd
import pytest
import torch

from lib import paths
from lib.bts import joint_training, sets, train
from lib.bts.degradations import TASKS
from lib.bts.detector import BeyondTheSpectrum
from lib.bts.perceptual import Perceptual
from lib.bts.re_synthesizer import RDN
from lib.data.items import FaceImages
from lib.training import checkpoints, fit
from lib.training.device import seed_everything


@pytest.fixture
def settings(gan_settings, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "TABLES", tmp_path / "tables")
    section = gan_settings.joint_training.replace(learning_rate=0.01, detector_learning_rate=0.01)
    return gan_settings.replace(joint_training=section)


def untrained(settings):
    seed_everything(0)
    return RDN(**train.re_synthesizer_sizes(settings)).start_as_repetition()


def test_only_the_joint_training_changes_the_re_synthesizer_and_what_it_reconstructs(settings, gan_table):
    rows = joint_training.run(settings, gan_table, untrained(settings), "ProGAN", 5).set_index("variant")
    assert list(rows.index) == ["start", "frozen", "released", "joint"]
    assert (rows["re_synthesizer_change"] > 0).to_dict() == {
        "start": False, "frozen": False, "released": False, "joint": True}  # fmt: skip
    assert rows["detector_change"]["start"] == 0
    assert 0 < rows["detector_change"]["released"] < 1e-5 < rows["detector_change"]["frozen"]
    for column in ("psnr", "loss", "degraded_psnr", "degraded_loss"):
        assert rows[column][["start", "frozen", "released"]].nunique() == 1
        assert rows[column]["joint"] != rows[column]["start"]
    assert (rows["degraded_loss"] != rows["loss"]).all()
    tested = [f"{name}_{metric}" for name in ("raw", "other", "P") for metric in ("accuracy", "auc")]
    assert ((rows[tested] >= 0) & (rows[tested] <= 1)).all(axis=None)
    assert (rows["minutes"] > 0).all()


def test_a_second_run_reads_what_the_first_one_trained(settings, gan_table, monkeypatch):
    first = joint_training.run(settings, gan_table, untrained(settings), "ProGAN", 5)
    monkeypatch.setattr(fit, "_optimizer", lambda *_: pytest.fail("trained again"))
    again = joint_training.run(settings, gan_table, untrained(settings), "ProGAN", 5)
    pd.testing.assert_frame_equal(first, again, rtol=1e-5)
    state, config = checkpoints.load(paths.CHECKPOINTS / "end_to_end_joint_5.safetensors")
    assert not BeyondTheSpectrum.restore(state, config).training, "what lib.detect --checkpoint takes"


def test_the_command_writes_each_seed_once_and_keeps_the_others(settings, monkeypatch, capsys):
    def run(params, table, re_synthesizer, source, seed):
        names = {"scale": "smoke", "data": "d", "task": "", "source": source, "seed": seed, "variant": "joint"}
        return pd.DataFrame([names | dict.fromkeys(("psnr", "loss", "raw_accuracy", "minutes"), len(calls))])

    calls = []
    monkeypatch.setattr(joint_training, "load", lambda: settings)
    monkeypatch.setattr(joint_training, "run", run)
    monkeypatch.setattr(joint_training.train, "train_re_synthesizer", lambda *_: calls.append(0) or (None, None))
    for seeds in (["0", "1"], ["1"]):
        joint_training.main(["--seeds", *seeds])
    table = pd.read_csv(paths.TABLES / "bts_end_to_end.csv")
    assert table[["source", "seed", "psnr"]].to_numpy().tolist() == [["ProGAN", 0, 1], ["ProGAN", 1, 2]]
    assert "seed 1, joint: PSNR 2.000 dB" in capsys.readouterr().out


def test_reconstruction_is_measured_with_the_same_noise_each_time(settings, gan_table):
    photographs = FaceImages(sets.rows(gan_table, "val", 0), 32)
    model, perceptual = untrained(settings), Perceptual("efficientnet_lite0", pretrained=False)
    first, again = (
        joint_training.reconstruction(settings, model, perceptual, photographs, TASKS["D"], "degraded_")
        for _ in range(2)
    )
    assert first == again
    assert list(first) == ["degraded_psnr", "degraded_loss"]
    clean = joint_training.reconstruction(settings, model, perceptual, photographs, TASKS[""])
    with torch.inference_mode():
        rgb = torch.stack([item["rgb"] for item in photographs])
        errors = (model.re_synthesize(rgb).clamp(0, 1) - rgb).square().mean((1, 2, 3))
    assert clean["psnr"] == pytest.approx((-10 * errors.log10()).mean().item(), rel=1e-5)


def test_without_another_generator_there_is_no_other_test(settings, gan_table):
    single = gan_table[gan_table["method"] != "StyleGAN"].reset_index(drop=True)
    assert list(joint_training._test_sets(settings, single, sets.ALL)) == ["raw", "P"]
