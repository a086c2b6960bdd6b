import json

import cv2
import numpy as np
import pytest
import torch

from lib import paths
from lib.data import layouts, video
from lib.data.audit import shortcuts
from lib.fakes import orl
from lib.fakes.forge import deepfakes, face2face, faceswap, make, neural_textures, scene
from lib.params import DataSet

BUNDLED = paths.DATA / "FaceForensics++"
bundled = pytest.mark.skipif(not BUNDLED.is_dir(), reason="data/FaceForensics++ is missing: run `dvc pull`")


def person(name):
    """Ten Faces with landmarks where a face usually is: the detector would take seconds."""
    landmarks = np.float32(scene.TEMPLATE * 150 + [45, 65])
    photographs = [path for who, _, path in orl.orl_photographs() if who == name]
    scenes = [scene.enlarge(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in photographs]
    return [scene.Face(np.float32(s) / 255, landmarks + np.float32([i, -i])) for i, s in enumerate(scenes)]


@pytest.fixture(scope="module")
def targets():
    return person("003")


@pytest.fixture(scope="module")
def sources():
    return person("007")


@pytest.fixture
def untrained(monkeypatch):
    torch.manual_seed(0)
    networks = {"deepfakes": deepfakes.DeepFakes(orl.PEOPLE), "neural_textures": neural_textures.MouthRenderer()}
    monkeypatch.setattr(make, "network", networks.get)


def test_landmarks_land_on_the_template(targets):
    found = cv2.transform(targets[2].landmarks[None], targets[2].align(64))[0]
    np.testing.assert_allclose(found, scene.TEMPLATE * 64, atol=1e-3)


def test_a_pasted_face_has_the_light_of_the_target():
    generator = np.random.default_rng(0)
    dark, bright = generator.random((8, 8)) * 0.2, generator.random((8, 8)) * 0.5 + 0.5
    mask = np.ones((8, 8))
    lit = scene.match_colour(dark, bright, mask)
    assert lit.mean() == pytest.approx(bright.mean())
    assert lit.std() == pytest.approx(bright.std())


@pytest.mark.parametrize("method", layouts.METHODS)
def test_a_forgery_changes_the_face_and_nothing_outside_its_mask(method, targets, sources, untrained):
    forged, masks = make.forge(method, targets, sources, "007")
    original = np.stack([face.scene for face in targets])
    change = np.abs(forged - original)
    assert forged.shape == masks.shape == original.shape
    assert change[masks == 0].max() == 0
    assert change[masks > 0.9].mean() > 0.01
    assert forged.min() >= 0
    assert forged.max() <= 1


def test_faceswap_lays_the_sources_eyes_on_the_targets(targets, sources):
    marked = np.zeros_like(sources[0].scene)
    x, y = np.rint(sources[0].landmarks[0]).astype(int)
    cv2.circle(marked, (int(x), int(y)), 4, 1, -1)
    laid = faceswap.lay_over(targets[5], scene.Face(marked, sources[0].landmarks))
    y, x = np.unravel_index(cv2.GaussianBlur(laid, None, 2).argmax(), laid.shape)
    np.testing.assert_allclose([x, y], targets[5].landmarks[0], atol=1.5)


def test_face2face_moves_the_target_as_the_source_moved():
    dot = np.zeros((face2face.SIZE, face2face.SIZE), np.float32)
    dot[80, 60] = 1
    flow = np.zeros((*dot.shape, 2), np.float32)
    flow[..., 0] = 7
    assert face2face.carry_over(dot, flow)[80, 67] == pytest.approx(1)


def test_a_turn_of_the_head_is_not_taken_for_an_expression(targets):
    aligned = targets[0].aligned(face2face.SIZE)
    shifted = np.roll(aligned, 4, axis=1)
    assert np.abs(face2face.expression_flow(aligned, shifted)[..., 0]).mean() < 1


def test_only_the_source_decides_who_a_deepfake_shows(targets, sources):
    torch.manual_seed(0)
    model = deepfakes.DeepFakes(3)
    with torch.no_grad():
        model.decoders["6_bias"][2] += 1  # the last layer of the third person
    as_first, as_second, as_third = (deepfakes.swap(model, targets[:3], sources[:3], p) for p in range(3))
    np.testing.assert_array_equal(as_first, as_second)
    assert np.abs(as_third - as_first).min() > 0.05


@pytest.mark.parametrize("module", [deepfakes, neural_textures])
def test_the_same_seed_trains_the_same_forger(module, targets, sources):
    people, steps = {"003": targets, "007": sources}, [2, 2] if module is deepfakes else [2]
    first, again, other = (module.train(people, seed, *steps).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_original_and_fake_share_the_path_of_the_camera(targets):
    scenes = np.stack([face.scene for face in targets[:2]])
    film = make.film(scenes, seed=3)
    assert film.shape == (2 * make.FRAMES_PER_PHOTO, make.SIDE, make.SIDE)
    assert film.dtype == np.uint8
    np.testing.assert_array_equal(film, make.film(scenes, seed=3))
    assert (film != make.film(scenes, seed=4)).mean() > 0.1


def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path, monkeypatch, targets, sources):
    monkeypatch.setattr(layouts, "METHODS", ("FaceSwap",))
    faces = {"003": targets[:2], "007": sources[:2]}
    make.make_pair(tmp_path, ["003", "007"], faces)
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.mp4")}
    lost = tmp_path / "manipulated_sequences/FaceSwap/masks/videos/003_007.mp4"
    content = {file: file.read_bytes() for file in written}
    lost.unlink()
    make.make_pair(tmp_path, ["003", "007"], faces)
    assert {file: file.read_bytes() for file in written} == content
    kept = [file for file in written if file.stat().st_mtime_ns == written[file]]
    assert len(written) == 2 * 2 + 2 * 3
    assert len(kept) == len(written) - 3  # the fake whose mask was lost is made anew, the same
    (tmp_path / "splits").mkdir()
    for split in layouts.SPLITS:
        (tmp_path / "splits" / f"{split}.json").write_text(json.dumps([["003", "007"]] if split == "test" else []))
    assert len(layouts.videos(DataSet(layout="FaceForensics++", root=str(tmp_path)))) == 4


def test_missing_weights_are_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "WEIGHTS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"deepfakes.safetensors: no such weights; .*lib.fakes.forge"):
        make.network.__wrapped__("deepfakes")


@bundled
@pytest.mark.parametrize("compression", make.COMPRESSIONS)
def test_nothing_but_the_forgery_gives_a_bundled_fake_away(compression):
    table = layouts.videos(DataSet(layout="FaceForensics++", root=str(BUNDLED), compression=compression))
    assert table["method"].value_counts().to_dict() == {"original": 40, **dict.fromkeys(layouts.METHODS, 40)}
    measures = shortcuts.measure(table)
    assert len(measures[["width", "height"]].drop_duplicates()) == 1
    auc = shortcuts.separation(table["label"], measures[["file_size", "brightness", "contrast"]])
    assert auc.between(*shortcuts.ALLOWED).all(), auc


@bundled
def test_no_person_of_the_bundled_videos_is_in_two_splits():
    table = layouts.videos(DataSet(layout="FaceForensics++", root=str(BUNDLED)))
    people = {
        split: set("_".join(rows["video"].str.split("/").str[1]).split("_")) for split, rows in table.groupby("split")
    }
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == orl.PEOPLE


@bundled
def test_the_masks_lie_where_the_bundled_fakes_differ_from_their_originals():
    table = layouts.videos(DataSet(layout="FaceForensics++", root=str(BUNDLED))).set_index("video")
    for fake in table[table["label"] == 1].groupby("method").first().itertuples():
        original = table.loc[f"original/{fake.identity}", "path"]
        frames, originals, masks = (
            video.read_frames(p, [2, 21])[..., 0].astype(int) for p in (fake.path, original, fake.mask)
        )
        change = np.abs(frames - originals)
        assert change[masks > 127].mean() > 2 * change[masks < 128].mean(), fake.path
