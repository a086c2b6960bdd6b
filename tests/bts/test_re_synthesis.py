import contextlib

import numpy as np
import pytest
import torch

from lib import paths
from lib.bts import re_synthesis, sets
from lib.bts.degradations import TASKS
from lib.bts.perceptual import Perceptual, reconstruction
from lib.bts.re_synthesizer import RDN, rdn_options
from lib.data.items import FaceImages
from lib.training import fit, staleness


@pytest.fixture
def settings(gan_settings):
    return gan_settings.re_synthesizer


def test_the_history_says_which_equation_each_epoch_learned_from(settings, gan_table):
    _, history = re_synthesis.train(settings, gan_table, "SR", 0)
    assert history["equation"].tolist() == ["Eq. 1", "Eq. 3"]
    assert np.isfinite(history[["loss", "val_loss"]]).all(axis=None)
    files = {file.name for file in (paths.CHECKPOINTS / "re_synthesizer").iterdir()}
    assert files == {"SR_pixel.safetensors", "SR.safetensors"}


def test_each_auxiliary_task_teaches_another_re_synthesizer_that_is_read_by_its_name(settings, gan_table):
    re_synthesis.train_all(settings, gan_table, 0, threads=0)
    weights = {name: re_synthesis.load(name).output.weight for name in re_synthesis.NAMES}
    assert not torch.equal(weights["SR"], weights["SR+C"])
    assert not torch.equal(weights["SR"], weights["SR+D"])
    trained, _ = re_synthesis.train(settings, gan_table, "SR+C", 0)
    assert torch.equal(trained.cpu().output.weight, weights["SR+C"])


def test_a_re_synthesizer_that_is_not_there_is_one_line_that_says_what_trains_it(settings):
    with pytest.raises(FileNotFoundError, match="SR.D.safetensors: no such weights; `.*` trains them"):
        re_synthesis.load("SR+D")


@pytest.mark.parametrize(("change", "again"), [
    ({}, False), ({"workers": 1}, False), ({"size": 64}, True), ({"loss": "released"}, True),
    ({"validate_on": 2}, True),
])  # fmt: skip
def test_it_is_trained_again_where_a_setting_has_changed_and_loaded_otherwise(
    settings, gan_table, monkeypatch, change, again
):
    re_synthesis.train(settings, gan_table, "SR", 0)
    started = []
    monkeypatch.setattr(fit, "_optimizer", lambda *_: started.append(0) or pytest.fail("trained again"))
    fakes = gan_table["method"] != "StyleGAN"  # no fake has a say
    with contextlib.suppress(pytest.fail.Exception):
        re_synthesis.train(settings.replace(**change), gan_table[fakes], "SR", 0)
    assert bool(started) == again


@pytest.mark.parametrize(("validate_on", "count"), [(0, 3), (2, 2), (100, 3)])
def test_an_epoch_ends_with_a_few_photographs_always_the_same_not_with_thousands_of_1024_pixels(
    settings, gan_table, monkeypatch, validate_on, count
):
    seen, whole = [], re_synthesis.reconstruction
    record = lambda model, perceptual, items, *given: (
        seen.append(items.paths) or whole(model, perceptual, items, *given)
    )
    monkeypatch.setattr(re_synthesis, "reconstruction", record)
    re_synthesis.train(settings.replace(validate_on=validate_on), gan_table, "SR", 0)
    assert len(seen) == 2 and seen[0] == seen[1] and len(seen[0]) == count
    assert set(seen[0]) <= set(sets.rows(gan_table, "val", 0)["path"])


def test_the_epoch_that_explains_other_photographs_best_is_kept(settings, gan_table, monkeypatch):
    losses, seen = iter([0.3, 0.1, 0.2]), []

    def measured(model, *given):
        seen.append(model.output.weight.detach().cpu().clone())
        return dict.fromkeys(("loss", "pixel", "stages"), next(losses))

    monkeypatch.setattr(re_synthesis, "reconstruction", measured)
    model, _ = re_synthesis.train(settings.replace(pixel_epochs=0, epochs=3), gan_table, "SR", 0)
    kept = model.output.weight.detach().cpu()
    assert [torch.equal(kept, weight.half().float()) for weight in seen] == [False, True, False]


def test_no_loader_of_videos_no_rival_and_no_command_line_decides_about_a_re_synthesizer():
    files = {file.relative_to(paths.ROOT / "lib").as_posix() for file in staleness.sources(*re_synthesis.CODE)}
    assert files == {
        "backbones/efficientnet.py", "backbones/imagenet.py", "bts/degradations.py", "bts/patches.py",
        "bts/perceptual.py", "bts/re_synthesizer.py", "data/image.py", "data/items.py", "ops/precision.py",
        "training/device.py",
    }  # fmt: skip


def test_released_weights_are_taken_instead_of_training(settings, gan_table, tmp_path):
    trained, _ = re_synthesis.train(settings, gan_table, "SR", 0, folder="first")
    torch.save(trained.state_dict(), tmp_path / "released.pth")
    released = settings.replace(weights=str(tmp_path / "released.pth"))
    loaded, history = re_synthesis.train(released, gan_table, "SR", 0)
    assert history["epoch"].tolist() == [0]
    assert (paths.CHECKPOINTS / "re_synthesizer" / "SR.safetensors").is_file()
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), loaded.parameters(), strict=True))


def test_reconstruction_is_measured_with_the_same_noise_each_time(settings, gan_table):
    photographs = FaceImages(sets.rows(gan_table, "val", 0), 32)
    model, perceptual = RDN(**rdn_options(settings)), Perceptual("efficientnet_lite0", pretrained=False)
    first, again = (reconstruction(model, perceptual, photographs, settings, TASKS["D"]) for _ in range(2))
    assert first == again
    clean = reconstruction(model, perceptual, photographs, settings)
    assert clean["loss"] != first["loss"]
    with torch.inference_mode():
        rgb = torch.stack([item["rgb"] for item in photographs])
        errors = (model.re_synthesize(rgb).clamp(0, 1) - rgb).square().mean((1, 2, 3))
    assert clean["psnr"] == pytest.approx((-10 * errors.log10()).mean().item(), rel=1e-5)
