"""lib.cross_training: each paper's detector learns what the other paper's learns, and nothing else."""

import pandas as pd
import pytest

from lib import cross_training, paths


@pytest.fixture
def options(gan_settings, gan_table):
    rows = [("train", "000", "real", 0, f"{frame:04}") for frame in range(20)]
    rows += [("train", "000_001", "Deepfakes", 1, f"{frame:04}") for frame in range(20)]
    forged = pd.DataFrame(rows, columns=["split", "video", "method", "label", "frame"]).assign(mask="m.png")
    return {"forged": forged, "photos": gan_table, "generator": "ProGAN", "seed": 0,
            "faces": gan_settings.faces.replace(frames_per_video=20), "re_synthesizer": gan_settings.re_synthesizer,
            "residual_detectors": gan_settings.residual_detectors, "pel": gan_settings.pel}  # fmt: skip


def test_beyond_the_spectrum_learns_from_a_few_frames_of_every_video(options, monkeypatch):
    given = {}
    monkeypatch.setattr(cross_training.bts_train, "train", lambda *args, **named: given.update(args=args, **named))
    cross_training.train("cross/BTS_forged", **options)
    name, frames, source, *_ = given["args"]
    assert (name, source, given["file"]) == ("SR", "all", "cross/BTS_forged")
    assert frames.groupby("video").size().tolist() == [cross_training.PER_VIDEO] * 2
    assert frames["frame"].unique().tolist() == ["0000", "0004", "0008", "0012", "0016"]
    assert "mask" not in frames, "no mask has a say in what it learns"


def test_pel_learns_from_photographs_and_one_generator_with_the_budget_of_pel(options, monkeypatch):
    given = {}
    monkeypatch.setattr(cross_training.pel_train, "train", lambda *args, **named: given.update(args=args, **named))
    cross_training.train("cross/PEL_ProGAN", **options)
    entry, table, _, budget, _, file = given["args"]
    assert (entry.name, file) == ("PEL", "cross/PEL_ProGAN")
    assert set(table["method"]) == {"CelebA-HQ", "ProGAN"}
    assert budget == options["pel"].training


def test_the_command_trains_both_and_leaves_nothing_of_another_generator(gan_settings, monkeypatch, capsys):
    class Faces:
        own = "own"
        table = dict(own=pd.DataFrame()).get

    monkeypatch.setattr(cross_training, "load", lambda: gan_settings)
    monkeypatch.setattr(cross_training, "FaceSets", lambda *_: Faces())
    monkeypatch.setattr(cross_training, "side_by_side", lambda work, jobs, **_: [work(job) for job in jobs])
    history = pd.DataFrame({"val_auc": [0.5, 0.75]})
    monkeypatch.setattr(cross_training, "train", lambda file, **_: (None, history))
    folder = paths.CHECKPOINTS / "cross"
    folder.mkdir(parents=True)
    for name in ("BTS_forged", "PEL_ProGAN", "PEL_StyleGAN"):
        (folder / f"{name}.safetensors").touch()
    cross_training.main()
    assert sorted(file.stem for file in folder.iterdir()) == ["BTS_forged", "PEL_ProGAN"]
    assert "cross/PEL_ProGAN: best AUC on the validation people 0.750" in capsys.readouterr().out
