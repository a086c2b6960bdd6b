"""lib.preflight: what would stop a run at the paper's scale is told at once, not after a night."""

import json
import re
import resource
import shutil
import subprocess
import sys
import time
import types

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml

from lib import cross_training, params, paths, preflight
from lib.bts import joint_training, re_synthesis
from lib.bts import score as bts_score
from lib.data import faces, roots
from lib.data.image import write_png
from lib.pel import ablations
from lib.pel import score as pel_score

PICTURE = np.zeros((8, 8, 3), np.uint8)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """A function that reads params.yaml at scale paper, with stand-ins of both needed sets and some keys changed."""
    monkeypatch.delenv("DEEPFAKE_SCALE", raising=False)
    monkeypatch.setattr(paths, "FACES", tmp_path / "faces")
    forged, generated = tmp_path / "FF++", tmp_path / "HQ"
    for split, pair in (("train", ["000", "003"]), ("val", ["720", "672"]), ("test", ["953", "974"])):
        touch(forged / f"splits/{split}.json")
        (forged / f"splits/{split}.json").write_text(json.dumps([pair]))
        touch(forged / f"original_sequences/youtube/c23/videos/{pair[0]}.mp4")
        touch(forged / f"manipulated_sequences/Deepfakes/c23/videos/{'_'.join(pair)}.mp4")
    for source in ("CelebA-HQ", "ProGAN", "StyleGAN"):
        write_png(generated / source / "0.png", PICTURE)

    def read(changes=(), scale="paper"):
        raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
        changes = {"data.paper.forged.root": str(forged), "data.paper.generated.root": str(generated), **dict(changes)}
        for key, value in changes.items():
            *outer, last = key.split(".")
            section = raw
            for name in outer:
                section = section.setdefault(name, {})
            section[last] = value
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
        return params.read(scale, tmp_path / "params.yaml")

    return read


def test_at_the_paper_s_scale_the_sets_that_it_needs_have_to_be_named(paper, tmp_path):
    given = paper({"data.paper.forged.root": "", "data.paper.generated.root": ""})
    forged, generated = roots.wrong(given)
    assert generated == (
        "data.generated.root: at scale paper name the folder that holds CelebA-HQ/ and a folder of each generator, "
        "such as ProGAN/ and StyleGAN/ (layout CelebA-HQ)"
    )
    assert forged.startswith("data.forged.root: at scale paper name the folder that holds original_sequences/, ")
    with pytest.raises(params.ParamsError, match=r"^data\.forged\.root: at scale paper name the folder"):
        params.load("paper", tmp_path / "params.yaml")
    assert roots.wrong(paper()) == []
    assert params.load("paper", tmp_path / "params.yaml").data.cross_forged == [], "sets without a root are left out"


def test_the_repository_s_file_has_no_bundled_image_in_the_paper_s_tables():
    given = params.read("paper")
    named = [*roots.data_sets(given).values()]
    assert len(named) > 8
    assert {data_set.root for data_set in named} == {""}
    assert given.more_fakes.weights == ""


@pytest.mark.parametrize(
    ("key", "root", "folder"),
    [
        ("data.generated", "data/CelebA-HQ", "data/"),
        ("test_sets.R", "generated/CelebA-HQ+R", "generated/"),
        ("scenes.church", str(paths.DATA / "LSUN"), "data/"),
    ],
)
def test_a_bundled_folder_is_refused_at_the_paper_s_scale(paper, key, root, folder):
    section, name = key.split(".")
    (wrong,) = roots.wrong(paper({f"{section}.paper.{name}.root": root}))
    assert wrong.startswith(f"{key}.root: {root} lies in the bundled {folder}, whose images are small: at scale paper")


def test_generators_of_one_s_own_may_draw_into_generated_and_the_bundled_ones_may_not(paper, tmp_path):
    drawn = {"test_sets.paper.R.root": "generated/none"}
    (wrong,) = roots.wrong(paper({**drawn, "more_fakes.paper.weights": str(tmp_path)}))
    assert wrong == "test_sets.R.root: no folder at generated/none: correct the path"
    (wrong,) = roots.wrong(paper({"more_fakes.paper.weights": "data/generators"}))
    assert wrong.startswith("more_fakes.weights: data/generators holds small generators")


def test_a_set_that_is_named_and_not_there_is_told_and_one_that_is_not_named_is_not(paper):
    (wrong,) = roots.wrong(paper({"test_sets.paper.FFHQ.root": "/nowhere"}))
    assert wrong == "test_sets.FFHQ.root: no folder at /nowhere: correct the path"
    further = [{"layout": "DFDC", "root": ""}, {"layout": "DFDC", "root": "/nowhere"}]
    (wrong,) = roots.wrong(paper({"data.paper.cross_forged": further}))
    assert wrong.startswith("data.cross_forged[1].root: no folder at /nowhere"), "counted as in the file"


def test_a_folder_that_only_another_scale_needs_may_be_missing(tmp_path):
    raw = yaml.safe_load((paths.ROOT / "params.yaml").read_text())
    raw["data"]["forged"]["root"] = raw["data"]["generated"]["root"] = str(tmp_path)
    raw["data"]["paper"]["forged"]["root"] = "/nowhere"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    assert params.load("bundled", tmp_path / "params.yaml").scale == "bundled"


def test_a_folder_with_another_layout_says_what_is_expected_and_what_is_there(paper, tmp_path):
    (tmp_path / "HQ/CelebA-HQ").rename(tmp_path / "HQ/photos")
    (tmp_path / "FF++/splits").rename(tmp_path / "FF++/lists")
    found = [line for line in preflight.problems(paper()) if ".root: " in line]
    assert found == [
        f"data.forged.root: {tmp_path}/FF++ has no splits/*.json: layout FaceForensics++ wants original_sequences/, "
        "manipulated_sequences/ and splits/ with its three lists; there is lists, manipulated_sequences, "
        "original_sequences",
        f"data.generated.root: {tmp_path}/HQ has no CelebA-HQ: layout CelebA-HQ wants CelebA-HQ/ and a folder of each "
        "generator, such as ProGAN/ and StyleGAN/; there is ProGAN, StyleGAN, photos",
    ]


def test_a_generator_to_learn_from_that_is_not_there_is_told(paper, tmp_path):
    (tmp_path / "HQ/StyleGAN").rename(tmp_path / "HQ/stylegan1")
    assert f"bts_detectors.sources: no image in {tmp_path}/HQ/StyleGAN" in preflight.problems(paper())


@pytest.fixture
def hubs(tmp_path, monkeypatch):
    """Empty caches of both hubs, and no network; gives the function that puts the weights of timm's B4 there."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setattr(preflight, "answers", lambda url: False)

    def put(folder):
        touch(folder / "snapshots/abc/model.safetensors")
        touch(folder / "refs/main")
        (folder / "refs/main").write_text("abc")

    return put


def test_weights_that_cannot_be_had_are_told_with_the_place_where_they_belong(paper, hubs, tmp_path):
    found = dict(line.split(": ", 1) for line in preflight.weights(paper()))
    assert set(found) == {"pel.backbone", "pel_detectors.attention_backbone", "pel_detectors.pretrained",
                          "bts_detectors.gram_pretrained", "re_synthesizer.perceptual"}  # fmt: skip
    assert "resnet18" in found["bts_detectors.gram_pretrained"]
    assert f"not in {tmp_path}/torch/checkpoints/vgg19-dcbb9e9d.pth" in found["re_synthesizer.perceptual"]
    assert f"not in {tmp_path}/hf/models--timm--tf_efficientnet_b4." in found["pel.backbone"]
    assert found["pel.backbone"].endswith("connect to the network once, or copy this from a machine that has it")


def test_weights_in_a_cache_or_installed_or_on_a_hub_that_answers_are_no_problem(paper, hubs, tmp_path, monkeypatch):
    given = paper()
    folder = next(line for line in preflight.weights(given) if line.startswith("pel.backbone")).split(" ")
    hubs(tmp_path / "hf" / next(word for word in folder if "models--" in word).rsplit("/", 1)[1])
    touch(tmp_path / "torch/checkpoints/vgg19-dcbb9e9d.pth")
    asked = {line.split(":")[0] for line in preflight.weights(given)}
    assert not asked & {"pel.backbone", "re_synthesizer.perceptual"}
    monkeypatch.setattr(preflight, "answers", lambda url: True)
    assert preflight.weights(given) == []
    monkeypatch.setattr(preflight, "answers", lambda url: pytest.fail("the bundled scale needs no network"))
    assert preflight.weights(paper(scale="bundled")) == []


def test_no_hub_keeps_a_user_waiting(paper, hubs, monkeypatch):
    monkeypatch.setattr(preflight, "PATIENCE", 0.2)
    monkeypatch.setattr(preflight, "answers", lambda url: time.sleep(20))
    preflight.weights(given := paper())  # imports timm
    began = time.monotonic()
    assert len(preflight.weights(given)) == 5
    assert time.monotonic() - began < 5


def test_a_backbone_that_does_not_exist_is_told(paper, hubs):
    found = preflight.weights(paper({"pel.paper.backbone": "tf_efficientnet_b44.ap_in1k"}))
    assert "pel.backbone: 'tf_efficientnet_b44.ap_in1k' is no network of timm" in found


def test_too_little_disk_for_the_crops_is_told_with_the_gigabytes(paper, monkeypatch):
    given = paper()
    free = types.SimpleNamespace(free=10e6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    (wrong,) = preflight.disk(roots.named(given.data), given.faces)
    assert wrong.startswith("faces: the crops of 6 videos take about 0 GB, 0 GB are free at ")
    free.free = 6 * 50 * 320**2 * preflight.CROP_BYTES + 1
    assert preflight.disk(roots.named(given.data), given.faces) == []
    free.free = 0
    folder = faces.folder_of(given.data.forged, given.faces)
    for video in ("original/000", "Deepfakes/000_003"):
        (folder / video).mkdir(parents=True)
    assert "the crops of 4 videos" in preflight.disk(roots.named(given.data), given.faces)[0], (
        "what is cut is not counted"
    )
    (folder / "manifest.csv").touch()
    assert preflight.disk(roots.named(given.data), given.faces) == []


def test_a_batch_that_the_gpu_cannot_hold_is_told_with_the_one_that_fits(paper, monkeypatch):
    given = paper()
    assert preflight.gpu(given) == [], "no GPU"
    memory = types.SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    assert preflight.gpu(given) == []
    memory.total_memory = 12 * 2**30
    wrong = preflight.gpu(given)
    keys = ["residual_detectors.batch_size", "pel.training.batch_size", "ablations.training.batch_size"]
    assert [line.split(":")[0] for line in wrong] == keys
    need = r"32 images of 320 px need 2\d GiB \(Multi-Att\), the GPU has 12: at most 1\d fit"
    assert re.fullmatch(rf"pel\.training\.batch_size: {need}", wrong[1])
    smaller = given.replace(residual_detectors=given.residual_detectors.replace(width=32))
    assert len(preflight.gpu(smaller)) == 2, "networks that were not counted are not judged"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert preflight.gpu(given) == [], "the batch is shared"


COMMANDS = [(re_synthesis, "load_params", []), (bts_score, "load", [[]]), (joint_training, "load", [[]]),
            (pel_score, "load", [[]]), (ablations, "load", [[]]), (cross_training, "load", [])]  # fmt: skip


@pytest.mark.parametrize(("module", "load", "arguments"), COMMANDS, ids=lambda value: getattr(value, "__name__", ""))
def test_every_command_that_trains_tells_all_of_it_before_it_reads_data(module, load, arguments, paper, monkeypatch):
    monkeypatch.setattr(module, load, paper)
    monkeypatch.setattr(preflight, "problems", lambda params: ["a: wrong", "b: wrong"])
    with pytest.raises(SystemExit, match="^params.yaml: a: wrong\nparams.yaml: b: wrong$"):
        module.main(*arguments)


def test_the_command_line_tells_all_problems_within_ten_seconds(paper, tmp_path):
    paper(
        {"data.paper.forged.root": "", "data.paper.generated.root": "/nowhere", "test_sets.paper.A.root": "generated/A"}
    )
    environment = {"DEEPFAKE_PARAMS": str(tmp_path / "params.yaml"), "DEEPFAKE_SCALE": "paper", "PATH": "",
                   "HF_HUB_CACHE": str(tmp_path), "TORCH_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}  # fmt: skip
    command, before = [sys.executable, "-m", "lib.params"], resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, env=environment)
    assert (run.returncode, run.stdout) == (1, "")
    told = run.stderr.strip().splitlines()
    assert all(line.startswith("params.yaml: ") for line in told)
    keys = [line.split(": ")[1] for line in told]
    assert keys[:4] == ["data.forged.root", "data.generated.root", "test_sets.A.root", "pel.backbone"]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # whatever else this machine does
    assert busy + preflight.PATIENCE < 10
