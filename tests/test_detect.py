"""`python -m lib.detect`: one line for each thing, whatever lies among the good ones."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from lib import detect as lib_detect
from lib import paths
from lib.bts.detector import BeyondTheSpectrum
from lib.data import cut, face_detectors, image, video
from lib.heatmaps import heatmap
from lib.pel.network import PEL
from lib.rivals.meso_net import MesoNet
from lib.training import checkpoints
from lib.training.device import device

RDN = {"num_features": 8, "growth_rate": 4, "num_blocks": 1, "num_layers": 1, "factor": 4}
SIZE = 64


class BrightSquare:
    """Stands for a face detector: the box around all white pixels of a picture is its face."""

    def detect(self, rgb):
        rows, columns = np.nonzero(rgb.min(2) > 200)
        if not len(rows):
            return np.empty((0, 4)), np.empty(0), None
        return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float), np.ones(1), None


def picture(left=40):
    rgb = np.full((96, 128, 3), 90, np.uint8)
    rgb[30:70, left : left + 40] = 250
    return rgb


@pytest.fixture(autouse=True)
def workplace(tmp_path_factory, monkeypatch):
    """Small random detectors in a checkpoints folder, and a face detector that sees white squares."""
    root = tmp_path_factory.getbasetemp() / "checkpoints"
    monkeypatch.setattr(paths, "CHECKPOINTS", root)
    monkeypatch.setattr(face_detectors, "detector", lambda name: BrightSquare())
    if not root.exists():
        torch.manual_seed(0)
        model = {"backbone": "tf_efficientnet_lite0", "streams": ["rgb", "freq"]}
        settings = {"size": SIZE, "margin": 1.3, "detector": "mtcnn", "frames_per_video": 3}
        config = {"detector": "PEL", "options": model, "faces": settings}
        checkpoints.save(PEL(**model, pretrained=False), checkpoints.file("pel/PEL"), config)
        options = {"re_synthesizer": RDN, "perceptual": "efficientnet_lite0", "stages": [0, 5],
                   "stage_weights": [0.5, 0.5], "width": 4, "layers": [1] * 4, "size": 128}  # fmt: skip
        config = {"detector": "SR", "options": options, "size": 128}
        checkpoints.save(BeyondTheSpectrum(**options, pretrained=False), checkpoints.file("bts/SR_all"), config)
        config = {"detector": "MesoNet", "options": {"size": 64}, "faces": settings}
        checkpoints.save(MesoNet(size=64), checkpoints.file("pel/MesoNet"), config)


@pytest.fixture
def folder(tmp_path):
    """One good image, one good video, and everything that goes wrong."""
    image.write_png(tmp_path / "good.png", picture())
    clip = np.stack([picture(left) for left in range(20, 60, 4)])
    video.write_video(tmp_path / "good.mp4", clip)
    video.write_video(tmp_path / "nobody.mp4", np.full_like(clip, 90))
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "good.mp4").read_bytes()[:-400])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    image.write_png(tmp_path / "wall.png", np.full((96, 96, 3), 90, np.uint8))
    return tmp_path


BAD = {"cut.mp4": "truncated", "empty.jpg": "0 bytes", "nobody.mp4": "no face found in 3 frames",
       "text.jpg": "not an image", "wall.png": "no face found"}  # fmt: skip


def test_each_bad_file_gets_one_clear_line_and_the_good_ones_are_scored(folder, capsys):
    status = lib_detect.main([str(folder), "--csv", str(folder / "scores.csv")])
    out, err = capsys.readouterr()
    assert status == 1
    assert [line.split()[-1] for line in out.splitlines()] == [str(folder / "good.mp4"), str(folder / "good.png")]
    lines = err.splitlines()
    assert len(lines) == len(BAD)
    for line, (name, reason) in zip(lines, BAD.items(), strict=True):
        assert line.startswith(f"not scored: {folder / name}: ")
        assert reason in line
    rows = {row["path"]: row for row in csv.DictReader((folder / "scores.csv").open())}
    assert len(rows) == 7
    assert 0 < float(rows[str(folder / "good.mp4")]["score"]) < 1
    assert rows[str(folder / "cut.mp4")]["score"] == "" != rows[str(folder / "cut.mp4")]["error"]


@pytest.mark.parametrize("argument", ["absent.png", "notes.txt", "nothing_inside"])
def test_an_argument_that_is_no_picture_is_named_and_fails(tmp_path, capsys, argument):
    (tmp_path / "notes.txt").write_text("words")
    (tmp_path / "nothing_inside").mkdir()
    assert lib_detect.main([str(tmp_path / argument)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert argument in err


@pytest.mark.parametrize("name", lib_detect.DETECTORS)
def test_missing_weights_are_named_with_what_makes_them(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path)
    assert lib_detect.main([str(tmp_path), "--detector", name]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"{lib_detect.DETECTORS[name]}.safetensors" in lines[0]
    assert f"`dvc repro {name}_detectors` trains them" in lines[0]


@pytest.mark.parametrize(("weights", "name"), [("bts/SR_all", "SR"), ("pel/MesoNet", "MesoNet")])
def test_the_weights_of_any_detector_score_and_say_whose_they_are(folder, capsys, weights, name):
    arguments = [str(folder / "good.png"), "--json", "--checkpoint", str(checkpoints.file(weights))]
    assert lib_detect.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["detector"] == name


def test_weights_that_are_no_detector_s_are_refused(folder, capsys):
    checkpoints.save(torch.nn.Linear(1, 1), folder / "line.safetensors", {"detector": "PEL", "options": {}})
    assert lib_detect.main([str(folder / "good.png"), "--checkpoint", str(folder / "line.safetensors")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "line.safetensors: not the weights of a detector" in lines[0]


def test_a_detector_that_does_not_tell_where_it_looks_says_so(folder, capsys):
    weights = str(checkpoints.file("pel/MesoNet"))
    assert lib_detect.main([str(folder / "good.png"), "--checkpoint", weights, "--heatmap", str(folder / "h")]) == 1
    assert "MesoNet does not tell where it looks" in capsys.readouterr().err


def test_a_video_is_the_mean_of_its_frames_and_an_image_stands_for_itself(folder, capsys):
    assert lib_detect.main([str(folder / "good.mp4"), str(folder / "good.png"), "--json", "--frames", "4"]) == 0
    clip, still = map(json.loads, capsys.readouterr().out.splitlines())
    assert (clip["frames"], still["frames"]) == (4, 1)
    assert clip["score"] == pytest.approx(np.mean(list(clip["frame_scores"].values())), abs=1e-5)
    assert list(clip["frame_scores"]) == ["0", "3", "6", "9"]
    assert clip["verdict"] == ("fake" if clip["score"] > 0.5 else "real")


def test_a_folder_is_searched_to_its_bottom_and_nothing_is_scored_twice(folder, capsys):
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    image.write_png(deep / "good.png", picture())
    lib_detect.main([str(folder / "a"), str(deep / "good.png"), str(deep)])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_the_network_sees_the_face_as_it_was_cut_in_training(folder):
    result = lib_detect.score(folder / "good.png")
    box = BrightSquare().detect(picture())[0][0]
    assert np.array_equal(result.crop, cut.crop_square(picture(), box, 1.3, SIZE))


@pytest.mark.parametrize("name", lib_detect.DETECTORS)
def test_the_network_is_given_the_values_that_it_learned_from(folder, name):
    result = lib_detect.score(folder / "good.png", detector=name)
    rgb = torch.from_numpy(result.crop).permute(2, 0, 1)[None].float() / 255  # as lib.data.items gives them
    with torch.no_grad():
        wanted = lib_detect.load(name).probability(rgb.to(device()))
    assert result.score == pytest.approx(wanted.item(), abs=1e-6)


def test_an_image_on_its_side_is_turned_upright_first(tmp_path):
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.png"
    Image.fromarray(picture()).save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright, a viewer turns the picture by a quarter
    Image.fromarray(np.rot90(picture())).save(turned, exif=exif)
    assert lib_detect.score(turned).score == lib_detect.score(upright).score


def test_beyond_the_spectrum_takes_an_image_whole_and_needs_no_face(folder):
    wall = image.read_image(folder / "wall.png")
    result = lib_detect.score(folder / "wall.png", detector="bts")
    assert np.array_equal(result.crop, image.resize(wall, 128))
    assert 0 < result.score < 1


@pytest.mark.parametrize("name", lib_detect.DETECTORS)
def test_every_scored_file_gets_its_heat_map_even_under_equal_names(folder, name):
    image.write_png(folder / "again" / "good.png", picture(20))
    lib_detect.main(
        [str(folder / "good.png"), str(folder / "again"), "--detector", name, "--heatmap", str(folder / "heat")]
    )
    for file in ("good.png.png", "again/good.png.png"):
        heat = image.read_image(folder / "heat" / file)
        assert heat.std() > 10


def test_a_second_run_gives_the_same_scores(folder):
    assert lib_detect.score(folder / "good.mp4").frames == lib_detect.score(folder / "good.mp4").frames


@pytest.mark.parametrize("frames", ["0", "-3", "many"])
def test_a_number_of_frames_that_makes_no_sense_is_a_usage_error(folder, capsys, frames):
    with pytest.raises(SystemExit) as stop:
        lib_detect.main([str(folder), "--frames", frames])
    assert stop.value.code == 2
    assert "whole number above 0" in capsys.readouterr().err


def test_a_real_face_is_found_by_the_detector_that_ships_its_weights(tmp_path, monkeypatch):
    monkeypatch.undo()
    portrait = next((paths.DATA / "CelebA-HQ" / "CelebA-HQ").glob("*.png"), None)
    if portrait is None:
        pytest.skip("the bundled photographs are not restored (dvc pull)")
    assert len(face_detectors.detector("mtcnn").detect(image.read_image(portrait))[0]) >= 1


def test_weights_that_were_trained_anew_are_used_at_once(folder):
    weights = folder / "pel.safetensors"
    state, config = checkpoints.load(checkpoints.file("pel/PEL"))
    network = PEL(**config["options"], pretrained=False)
    network.load_state_dict(state)
    scores = []
    for _ in range(2):
        checkpoints.save(network, weights, config)
        scores.append(lib_detect.score(folder / "good.png", checkpoint=weights).score)
        network.classifier.bias.data += 1
    assert scores[1] > scores[0]


def test_the_heat_map_of_beyond_the_spectrum_also_says_how_much_of_each_pixel_is_missed(folder):
    image.write_png(folder / "large.png", np.random.default_rng(0).integers(256, size=(260, 300, 3), dtype=np.uint8))
    fig = heatmap(lib_detect.score(folder / "large.png", detector="bts"), lib_detect.load("bts").model)
    titles = [ax.get_title() for ax in fig.axes]
    assert titles[3:6] == ["re-synthesized, 256 px", "pixel: what that misses", "stage 5: what that misses"]
    assert [ax.images[0].get_array().shape[0] for ax in fig.axes[:6]] == [128] * 3 + [256] * 3
    assert [ax.get_xlabel() for ax in fig.axes[7:]] == ["grey levels of 255", "units of the features"]
    assert 20 < fig.axes[7].get_xlim()[1] < 255  # noise: far more is missed than in a face


def test_a_large_picture_is_written_with_all_its_pixels(folder):
    image.write_png(folder / "large.png", np.zeros((512, 512, 3), np.uint8))
    lib_detect.main([str(folder / "large.png"), "--detector", "bts", "--heatmap", str(folder / "heat")])
    height, width = image.read_image(folder / "heat" / "large.png.png").shape[:2]
    assert width > 3 * 512 and height > 2 * 512


def test_the_face_of_a_video_is_drawn_as_it_was_cut(folder):
    fig = heatmap(lib_detect.score(folder / "good.mp4", detector="bts"), lib_detect.load("bts").model)
    assert fig.axes[3].get_title() == "re-synthesized, 128 px"
