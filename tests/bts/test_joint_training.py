"""The end-to-end stage: only "joint" changes the re-synthesizer, and the table says so for each seed."""

import pandas as pd
import pytest

from lib import detectors, paths
from lib.bts import joint_training, sets
from lib.bts.joint_training import Comparison
from lib.bts.re_synthesizer import RDN, rdn_options
from lib.training import checkpoints, fit
from lib.training.device import seed_everything


@pytest.fixture
def comparison(gan_settings, gan_table, monkeypatch, tmp_path):
    """Comparisons with seed 5 at a tiny scale, which start from a re-synthesizer that has learned nothing."""
    monkeypatch.setattr(paths, "TABLES", tmp_path / "tables")
    section = gan_settings.joint_training.replace(learning_rate=0.01, detector_learning_rate=0.01)
    seed_everything(0)
    model, path = RDN(**rdn_options(gan_settings.re_synthesizer)), checkpoints.file("re_synthesizer/SR+D")
    checkpoints.save(model.start_as_repetition(), path, {})
    sections = gan_settings.re_synthesizer, gan_settings.residual_detectors, section
    return lambda table=gan_table, source="ProGAN": Comparison(*sections, table, source, 5)


def test_only_the_joint_training_changes_the_re_synthesizer_and_what_it_reconstructs(comparison):
    rows = comparison().run().set_index("variant")
    assert list(rows.index) == ["start", "frozen", "released", "joint"]
    assert (rows["re_synthesizer_change"] > 0).to_dict() == {
        "start": False, "frozen": False, "released": False, "joint": True}  # fmt: skip
    assert rows["detector_change"]["start"] == 0
    assert 0 <= rows["detector_change"]["released"] < 1e-5 < rows["detector_change"]["frozen"]
    for column in ("psnr", "loss", "degraded_psnr", "degraded_loss"):
        assert rows[column][["start", "frozen", "released"]].nunique() == 1
        assert rows[column]["joint"] != rows[column]["start"]
    assert (rows["degraded_loss"] != rows["loss"]).all()
    tested = [f"{name}_{metric}" for name in ("raw", "other", "P") for metric in ("accuracy", "auc")]
    assert ((rows[tested] >= 0) & (rows[tested] <= 1)).all(axis=None)
    assert (rows["minutes"] > 0).all()


def test_a_second_run_reads_what_the_first_one_trained(comparison, monkeypatch):
    first = comparison().run()
    monkeypatch.setattr(fit, "_optimizer", lambda *_: pytest.fail("trained again"))
    again = comparison().run()
    pd.testing.assert_frame_equal(first, again, rtol=1e-5)
    state, config = checkpoints.load(paths.CHECKPOINTS / "joint_training" / "joint_5.safetensors")
    assert not detectors.restore(state, config).training, "what lib.detect --checkpoint takes"


def test_the_command_writes_each_seed_once_and_keeps_the_others(comparison, gan_settings, monkeypatch, capsys):
    def run(self):
        names = {"task": "", "source": self.source, "seed": self.seed, "variant": "joint"}
        return pd.DataFrame([names | dict.fromkeys(("psnr", "loss", "raw_accuracy", "minutes"), len(calls))])

    monkeypatch.setattr(joint_training, "load", lambda: gan_settings)
    monkeypatch.setattr(Comparison, "run", run)
    calls = []
    for seeds in (["0", "1"], ["1"]):
        calls.append(seeds)
        joint_training.main(["--seeds", *seeds])
    table = pd.read_csv(paths.TABLES / "bts_end_to_end.csv")
    assert table[["source", "seed", "psnr"]].to_numpy().tolist() == [["ProGAN", 0, 1], ["ProGAN", 1, 2]]
    assert list(table)[:6] == joint_training.KEYS
    assert "seed 1, joint: PSNR 2.000 dB" in capsys.readouterr().out


def test_without_another_generator_there_is_no_other_test(comparison, gan_table):
    single = gan_table[gan_table["method"] != "StyleGAN"].reset_index(drop=True)
    assert list(comparison(single, sets.ALL).tests()) == ["raw", "P"]
