"""lib.bts.wiped: +E and +P are made once, as files, and a detector never sees those of other images."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from lib import paths
from lib.bts import sets, wiped
from lib.data import jobs, perturb
from lib.data.image import read_image, write_png
from lib.data.items import FaceImages
from lib.ops import equalization, spectra


@pytest.fixture
def files(gan_table, tmp_path, monkeypatch):
    """The table of the tiny data set, whose wiped fakes get a folder of their own."""
    monkeypatch.setattr(paths, "WIPED", tmp_path / "wiped")
    return gan_table


def test_the_files_hold_what_a_detector_would_have_been_shown(files):
    found = wiped.make(files, 32, 0)
    tested = sets.rows(files, "test")
    photographs = FaceImages(sets.rows(files, "train", 0), 32)
    spectrum = spectra.mean_spectrum(item["rgb"].double().numpy() for item in photographs)
    changes = {"E": lambda image, rng: equalization.equalize_image(image, spectrum), "P": perturb.chain}
    assert list(found) == list(changes)
    for kind, change in changes.items():
        assert found[kind].drop(columns="path").equals(tested.drop(columns="path"))
        wanted = perturb.Changed(FaceImages(tested, 32), tested, change, 0, fakes_only=False)
        for row, item in zip(found[kind].itertuples(), wanted, strict=True):
            written = read_image(row.path).astype(int)
            assert Path(row.path).stem == Path(tested["path"][row.Index]).stem
            off = np.abs(written - (255 * item["rgb"]).round().permute(1, 2, 0).numpy())
            assert off.max() <= (1 if kind == "E" else 0) and (off > 0).mean() < 0.01


def test_what_is_there_is_read_and_a_killed_run_goes_on(files, interrupted, monkeypatch, capsys, files_below):
    calls = interrupted(equalization, "equalize", at=3)
    with pytest.raises(KeyboardInterrupt):
        wiped.make(files, 32, 0)
    with pytest.raises(
        FileNotFoundError, match=r"wiped/E: images are missing or out of date; run `python -m lib.bts.wi"
    ):
        wiped.read(files, 32, 0)
    wiped.make(files, 32, 0)
    assert len(calls) == 1 + len(sets.rows(files, "test"))
    before = files_below(paths.WIPED)
    monkeypatch.setattr(equalization, "equalize", lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(spectra, "mean_spectrum", lambda *_: pytest.fail("made again"))
    assert set(wiped.make(files, 32, 0)) == set(wiped.read(files, 32, 0)) == {"E", "P"}
    assert files_below(paths.WIPED) == before


def test_no_detector_is_shown_fakes_of_other_images_another_seed_or_another_size(files, files_below):
    wiped.make(files, 32, 0)
    for given in ((files, 32, 1), (files, 16, 0), (files[files["method"] != "ProGAN"], 32, 0)):
        with pytest.raises(FileNotFoundError, match="out of date"):
            wiped.read(*given)
    photograph = sets.rows(files, "train", 0)["path"][0]
    write_png(photograph, np.full((32, 32, 3), 9, np.uint8))
    with pytest.raises(FileNotFoundError, match="wiped/E:"):
        wiped.read(files, 32, 0)
    before = files_below(paths.WIPED / "P")
    wiped.make(files, 32, 0)
    assert files_below(paths.WIPED / "P") == before, "+P knows nothing of photographs"
    fewer = files.drop(index=files.index[files["method"] == "ProGAN"])
    found = wiped.make(fewer, 32, 0)
    assert len(list((paths.WIPED / "E").iterdir())) == len(found["E"]), "nothing is left of images that are no more"


def test_an_image_that_cannot_be_equalized_is_named(files):
    path = sets.rows(files, "test")["path"][1]
    write_png(path, np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=f"^{path}: images: one has no power in a ring"):
        wiped.make(files, 32, 0)


def test_a_cluster_writes_the_same_files_though_a_worker_is_killed(
    files, tmp_path, monkeypatch, dask_cluster, files_below
):
    wiped.make(files, 32, 0)
    here, write = files_below(paths.WIPED), perturb.write_changed
    monkeypatch.setattr(paths, "WIPED", tmp_path / "again")

    def die_once(folder, *given, **named):
        died = folder.parents[1] / "died"
        if folder.name == "000002" and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return write(folder, *given, **named)

    monkeypatch.setattr(perturb, "write_changed", die_once)
    with dask_cluster(2) as client:
        wiped.make(files, 32, 0, client=client)
    (paths.WIPED / "died").unlink()
    assert files_below(paths.WIPED) == here


def test_a_scheduler_that_does_not_answer_is_one_line(gan_settings, monkeypatch):
    monkeypatch.setattr(wiped, "load", lambda: gan_settings)
    monkeypatch.setattr(jobs, "PATIENCE", 0.2)
    with pytest.raises(SystemExit, match="no dask scheduler answers there") as error:
        wiped.main(["--scheduler", "tcp://127.0.0.1:9"])
    assert "\n" not in str(error.value)
