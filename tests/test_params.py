"""lib.params: a mistake in params.yaml must be found before an hour of computing, not after."""

import subprocess
import sys

import pytest
import yaml
from dvc.utils import serialize

from lib import params, paths


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Return a function that writes params.yaml with one value changed, and reads it back."""
    monkeypatch.delenv("DEEPFAKE_SCALE", raising=False)
    for name in ("forged", "generated"):
        (tmp_path / name).mkdir()

    def read(key="scale", value="bundled", scale=None):
        raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
        for name in ("forged", "generated"):
            raw["data"][name]["root"] = raw["data"]["paper"][name]["root"] = str(tmp_path / name)
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
    assert (paper.faces.size, paper.faces.frames_per_video) == (320, 50)
    assert paper.pel.backbone == "tf_efficientnet_b4.ap_in1k"
    assert (paper.re_synthesizer.num_blocks, paper.re_synthesizer.num_layers, paper.re_synthesizer.num_features) == (
        16,
        8,
        64,
    )
    assert bundled.pel.backbone == "tf_efficientnet_lite0"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "pel.training.learning_rat",
            0.1,
            r"^pel\.training\.learning_rat: unknown key; did you mean learning_rate\?$",
        ),
        ("pel.training.epochs", "many", r"^pel\.training\.epochs: needs int, has 'many'$"),
        ("pel.training.epochs", True, r"^pel\.training\.epochs: needs int, has True$"),
        ("pel.training.epochs", 1.0, r"^pel\.training\.epochs: needs int, has 1\.0$"),
        ("pel.training.learning_rate", "1e-5", r"^pel\.training\.learning_rate: needs float, has '1e-5'$"),
        ("pel.backbone", 4, r"^pel\.backbone: needs str, has 4$"),
        ("pel.pretrained", 1, r"^pel\.pretrained: needs bool, has 1$"),
        ("pel.training.decay_at", "0.5", r"^pel\.training\.decay_at: needs a list, has '0\.5'$"),
        ("pel.training.decay_at", [0.5, "late"], r"^pel\.training\.decay_at\[1\]: needs float, has 'late'$"),
        ("scenes.zzz", 1, r"^scenes\.zzz: unknown key; known keys: bedroom, church$"),
        ("pel.paper.epoch", 30, r"^pel\.paper\.epoch: unknown key"),
        ("pel.paper", 30, r"^pel\.paper: needs a section of keys, has 30$"),
        ("pel.paper.training.epoch", 30, r"^pel\.training\.epoch: unknown key; did you mean epochs\?$"),
        ("pel.paper.training", 30, r"^pel\.training: needs a section of keys, has 30$"),
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
        ("pel.training.decay_at", [1.5], r"^pel\.training\.decay_at\[0\]: has to be less than 1, has 1\.5$"),
        # found at the bundled scale, too
        ("pel.paper.training.decay_at", [1.5], r"^pel\.training\.decay_at\[0\]: has to be less than 1"),
        ("pel.frequency_start", "zero", r"^pel\.frequency_start: 'zero' is not one of pretrained, random$"),
        ("ablations.training.decay_at", [12], r"^ablations\.training\.decay_at\[0\]: has to be less than 1, has 12"),
        ("pel_detectors.learning_rates", {"PEL": 0}, r"^pel_detectors\.learning_rates.*: has to be greater than 0"),
        ("ablations.training.decay_at", [0.0], r"^ablations\.training\.decay_at\[0\]: has to be greater than 0, has 0"),
        ("pel.noise_after", [1, 8], r"^pel\.noise_after\[1\]: has to be less than or equal to 7, has 8$"),
        ("pel.enhance_after", 2, r"^pel\.enhance_after: needs a list, has 2$"),
        ("pel.literal_init", "no", r"^pel\.literal_init: needs bool, has 'no'$"),
        (
            "pel.paper.backbone",
            "tf_efficientnet_b4",
            r"^pel\.backbone: needs the tag of its weights, such as tf_\w+_b4\.ap_in1k",
        ),
        (
            "pel_detectors.attention_backbone",
            "tf_efficientnet_lite1",
            r"^pel_detectors\.attention_backbone: needs the tag",
        ),
        ("test_sets.R.layout", "CelebaHQ", r"^test_sets\.R\.layout: .* did you mean CelebA-HQ\?$"),
        ("scenes.church.layout", "folder", r"^scenes\.church\.layout: .* did you mean folders\?$"),
        ("re_synthesizer.patch", 97, r"^re_synthesizer\.patch: 97 is not a multiple of factor 4$"),
        (
            "pel_detectors.train_on",
            ["FF++"],
            r"^pel_detectors\.train_on\[0\]: 'FF\+\+' is not one of .* did you mean FF",
        ),
        ("joint_training.task", "E", r"^joint_training\.task: 'E' is not one of , C, D$"),
        (
            "data.cross_forged",
            [{"layout": "DFDC", "root": "/no"}],
            r"^data\.cross_forged\[0\]\.root: no folder at /no: ",
        ),
        ("generators.thousands", [1.0], r"^generators\.thousands: needs one number for each of the 6 widths$"),
        (
            "generators.learning_rates.progan",
            [1.0],
            r"^generators\.learning_rates\.progan: needs one number for each of",
        ),
        ("finetuning.alone", 6.0, r"^finetuning\.alone: 6\.0 leaves the generator none of the 6\.0 thousands$"),
        ("translation.widths", [8], r"^translation\.widths: needs one number a size, two at the least, has \[8\]$"),
        ("data.generated.size", 64, r"^data\.generated\.size: re_synthesizer\.size is its size; change that$"),
        ("data.forged.size", 64, r"^data\.forged\.size: faces\.size is its size; change that$"),
        ("data.generated.counts", [1, 2], r"^data\.generated\.counts: needs 3 numbers \(train, val, test\), has 2$"),
        ("test_sets.paper.R.sise", 64, r"^test_sets\.R\.sise: unknown key; did you mean size\?$"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(edited, key, value, message):
    with pytest.raises(params.ParamsError, match=message) as error:
        edited(key, value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pel.training.batch_size", -4, "has to be greater than or equal to 1, has -4"),
        ("faces.size", 0, "has to be greater than or equal to 1, has 0"),
        ("re_synthesizer.limit", -1, "has to be greater than or equal to 0, has -1"),
        ("joint_training.learning_rate", 0, "has to be greater than 0, has 0"),
        ("bts_detectors.curves.crop", [0.1, 1.5], "has to be less than 1, has 1.5"),
        ("pel_detectors.width", 2.0, "has to be less than or equal to 1, has 2.0"),
        ("faces.margin", float("nan"), "has to be a finite number, has nan"),
    ],
)
def test_a_number_out_of_its_range_is_named_with_the_range(edited, key, value, message):
    with pytest.raises(params.ParamsError) as error:
        edited(key, value)
    assert str(error.value) == f"{key}{'[1]' * isinstance(value, list)}: {message}"


def test_a_scale_changes_one_key_of_a_nested_block_and_leaves_the_others(edited):
    bundled = edited().bts_detectors.curves
    smoke = edited("bts_detectors.smoke", {"curves": {"jpeg": [30]}}, scale="smoke").bts_detectors
    assert smoke.curves == bundled.replace(jpeg=[30]) != bundled
    assert smoke.gram_width == edited().bts_detectors.gram_width


def test_a_changed_copy_of_a_section_is_checked_like_the_file(edited):
    whole = edited()
    changed = whole.replace(pel=whole.pel.replace(training=whole.pel.training.replace(epochs=99)))
    assert (changed.pel.training.epochs, changed.pel.stride, changed.seed) == (99, whole.pel.stride, whole.seed)
    assert whole.pel.training.epochs != 99
    with pytest.raises(params.ParamsError, match=r"^stride: needs int, has 'two'$"):
        whole.pel.replace(stride="two")
    with pytest.raises(params.ParamsError, match=r"^strid: unknown key; did you mean stride\?$"):
        whole.pel.replace(strid=2)
    with pytest.raises(params.ParamsError, match=r"^size: 33 is not a multiple of 32"):
        whole.ablations.replace(size=33)
    with pytest.raises(ValueError, match="frozen"):
        whole.pel.stride = 1


def test_dvc_reads_the_same_numbers():
    """Its YAML library follows anchors and merge keys, too."""
    file = paths.ROOT / "params.yaml"
    assert serialize.load_yaml(str(file)) == yaml.safe_load(file.read_text())


def test_a_file_that_is_not_there_or_not_yaml_is_one_line(tmp_path):
    with pytest.raises(params.ParamsError, match=r"none\.yaml: no such file; give the path of a params\.yaml$"):
        params.load(file=tmp_path / "none.yaml")
    (tmp_path / "params.yaml").write_text("scale: smoke\nseed: [1\n")
    with pytest.raises(params.ParamsError, match=r"params\.yaml: not valid YAML in line 3$"):
        params.load(file=tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(params.ParamsError, match=r"params\.yaml: holds no keys; copy the repository's params\.yaml$"):
        params.load(file=tmp_path / "params.yaml")


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


def test_the_command_line_check_says_what_a_run_would_use(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "lib.params"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        env={"DEEPFAKE_SCALE": "smok", "PATH": ""},
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.strip() == ("params.yaml: scale: 'smok' is not one of smoke, bundled, paper; did you mean smoke?")
