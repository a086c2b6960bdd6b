"""lib.params: a mistake in params.yaml must be found before an hour of computing, not after."""

import subprocess
import sys

import pytest
import yaml

from lib import params, paths


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Return a function that writes params.yaml with one value changed, and reads it back."""
    monkeypatch.delenv("DEEPFAKE_SCALE", raising=False)
    for name in ("forged", "generated"):
        (tmp_path / name).mkdir()

    def read(key="scale", value="bundled", scale=None):
        raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
        raw["data"]["forged"]["root"], raw["data"]["generated"]["root"] = (
            str(tmp_path / "forged"),
            str(tmp_path / "generated"),
        )
        section = raw
        *outer, last = key.split(".")
        for name in outer:
            section = section[name]
        section[last] = value
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
        return params.load(scale, tmp_path / "params.yaml")

    return read


def test_the_repository_s_own_file_is_valid_at_every_scale(edited):
    assert [edited(scale=scale).scale for scale in params.SCALES] == list(params.SCALES)


def test_one_switch_selects_the_paper_s_numbers(edited):
    paper, bundled = edited("scale", "paper"), edited("scale", "bundled")
    assert (paper.pel.backbone, paper.faces.size, paper.faces.frames_per_video) == ("tf_efficientnet_b4", 320, 50)
    assert (paper.re_synthesizer.num_blocks, paper.re_synthesizer.num_layers, paper.re_synthesizer.num_features) == (
        16,
        8,
        64,
    )
    assert bundled.pel.backbone == "tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pel.learning_rat", 0.1, r"^pel\.learning_rat: unknown key; did you mean learning_rate\?$"),
        ("pel.epochs", "many", r"^pel\.epochs: needs int, has 'many'$"),
        ("pel.epochs", True, r"^pel\.epochs: needs int, has True$"),
        ("pel.paper.epoch", 30, r"^pel\.paper\.epoch: unknown key"),
        ("faces", 3, r"^faces: needs a section of keys, has 3$"),
        ("scale", "papers", r"^scale: 'papers' is not one of .*did you mean paper\?$"),
        ("data.forged.layout", "FaceForensics", r"^data\.forged\.layout: .* did you mean FaceForensics\+\+\?$"),
        (
            "data.forged.root",
            "/nowhere/at/all",
            r"^data\.forged\.root: no folder at /nowhere/at/all: correct the path$",
        ),
        ("data.generated.root", "data/nothing", r"^data\.generated\.root: no folder at data/nothing: run `dvc pull`"),
        ("re_synthesizer.stage_weights", [1.0], r"^re_synthesizer\.stage_weights: needs 6 numbers"),
        ("pel.decay_at", [1.5], r"^pel\.decay_at: \[1\.5\] are not shares of the epochs, between 0 and 1$"),
        ("pel.paper.decay_at", [1.5], r"^pel\.decay_at: \[1\.5\] are not shares"),  # found at the bundled scale, too
        ("pel.frequency_start", "zero", r"^pel\.frequency_start: 'zero' is not one of pretrained, random$"),
        (
            "forgery_detectors.training.decay_at",
            [12],
            r"^forgery_detectors\.training\.decay_at: \[12\.0\] are not shares of the epochs",
        ),
        (
            "ablations.training.decay_at",
            [0.0],
            r"^ablations\.training\.decay_at: \[0\.0\] are not shares of the epochs",
        ),
        ("test_sets.R.layout", "CelebaHQ", r"^test_sets\.R\.layout: .* did you mean CelebA-HQ\?$"),
        ("scenes.church.layout", "folder", r"^scenes\.church\.layout: .* did you mean folders\?$"),
        ("re_synthesizer.patch", 97, r"^re_synthesizer\.patch: 97 is not a multiple of factor 4$"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(edited, key, value, message):
    with pytest.raises(params.ParamsError, match=message) as error:
        edited(key, value)
    assert "\n" not in str(error.value)


def test_a_missing_key_is_named(tmp_path):
    raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
    del raw["pel"]["stride"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(params.ParamsError, match=r"^pel\.stride: missing"):
        params.load(file=tmp_path / "params.yaml")


def test_the_command_line_check_prints_one_line_and_fails(tmp_path):
    (tmp_path / "params.yaml").write_text("scale: bundled\nsead: 1\n")
    run = subprocess.run(
        [sys.executable, "-m", "lib.params"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        env={"DEEPFAKE_PARAMS": str(tmp_path / "params.yaml"), "PATH": ""},
    )
    assert run.returncode == 1
    assert run.stderr.strip() == "params.yaml: sead: unknown key; did you mean seed?"
