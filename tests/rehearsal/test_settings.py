"""lib.rehearsal.settings: the rehearsal is the paper's run, but for how much of it there is."""

import pytest
import yaml

from lib import params, paths
from lib.rehearsal import settings

COUNTS = {"counts", "frames_per_video", "validate_on", "limit", "prnu_images", "curve_images", "epochs", "workers"}
STRENGTHS = {"jpeg", "blur", "noise", "crop", "resize"}
LESS = {*COUNTS, *STRENGTHS, "root", "in_memory"}


def flat(value, name=""):
    """Return {dotted key: value} of nested dicts and of lists of dicts."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: part for inner, each in value.items() for key, part in flat(each, f"{name}.{inner}".strip(".")).items()
    }


def changed(file):
    """Return the dotted keys in which the scale paper of a file differs from that of the repository."""
    ours, theirs = (flat(params.read("paper", each).model_dump()) for each in (paths.ROOT / "params.yaml", file))
    assert set(ours) == set(theirs)
    return {key for key in ours if ours[key] != theirs[key]}


def test_nothing_is_shrunk_but_how_many_images_and_epochs_there_are(tmp_path):
    found = changed(settings.write(tmp_path))
    assert {key.rsplit(".", 1)[1] for key in found} <= LESS
    assert {"data.forged.root", "pel.training.epochs", "scenes.church.counts"} <= found


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("pel", "backbone", "tf_efficientnet_lite0"), ("residual_detectors", "width", 8), ("re_synthesizer", "size", 128),
     ("faces", "size", 64), ("pel_detectors", "pretrained", False)],
)  # fmt: skip
def test_a_smaller_network_or_picture_would_be_told(tmp_path, monkeypatch, section, key, value):
    monkeypatch.setitem(settings.FEW, section, {**settings.FEW[section], key: value})
    assert key not in LESS
    assert f"{section}.{key}" in changed(settings.write(tmp_path))


def test_other_scales_stay_as_they_are(tmp_path):
    file = settings.write(tmp_path)
    assert params.read("bundled", file) == params.read("bundled", paths.ROOT / "params.yaml")


def test_a_notebook_is_written_into_the_rehearsal_s_folder_and_nothing_else_of_the_command_changes(tmp_path):
    stages = yaml.safe_load((paths.ROOT / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        given, made = stage["cmd"].split(), settings.command(stage, tmp_path)
        assert [word for word in made if not word.startswith(str(tmp_path))] == [
            word for word in given if not word.startswith("results/")
        ]
        assert all(paths.Path(word).suffix == ".ipynb" for word in set(made) - set(given))
    assert sum("papermill" in stage["cmd"] for stage in stages.values()) > 8
