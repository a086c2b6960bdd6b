import json

import numpy as np
import pytest

from lib.data.audit.__main__ import OWNERS, check, main
from lib.data.image import write_png
from lib.params import LAYOUTS


def test_every_layout_has_an_owner_who_is_named():
    assert set(OWNERS) == set(LAYOUTS)


def test_a_whole_data_set_is_counted_by_split_and_class(tmp_path, face_forensics, capsys):
    face_forensics(tmp_path)
    assert main(["FaceForensics++", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "train: 4 real and 16 fake videos = 4 Deepfakes, 4 Face2Face, 4 FaceSwap, 4 NeuralTextures" in said
    assert "(official: 720 and 2880), 4 people or sources, 80% fake" in said and "nothing is wrong" in said


def test_the_whole_of_faceforensics_has_its_official_counts(tmp_path, face_forensics):
    pairs = [[f"{number:03d}", f"{number + 1:03d}"] for number in range(0, 1000, 2)]
    face_forensics(tmp_path, {"train": pairs[:360], "val": pairs[360:430], "test": pairs[430:]})
    lines, wrong = check("FaceForensics++", tmp_path)
    for split, real, fake in (("train", 720, 2880), ("val", 140, 560), ("test", 140, 560)):
        assert f"{split}: {real} real and {fake} fake videos" in "\n".join(lines)
    assert not wrong and "official" not in "\n".join(lines)  # told where the counts differ


def test_listed_videos_that_are_missing_are_told_with_where_to_get_them(tmp_path, face_forensics):
    face_forensics(tmp_path)
    (tmp_path / "original_sequences/youtube/c23/videos/974.mp4").unlink()
    lines, wrong = check("FaceForensics++", tmp_path)
    assert not wrong and "missing: 1 listed videos (original/974); obtain them from" in "\n".join(lines)
    assert "ondyari/FaceForensics" in "\n".join(lines)


@pytest.mark.parametrize("name", ["FaceForensics++", "Celeb-DF-v2", "DeepfakeDetection", "DFDC-40-49", "folders"])
def test_a_missing_folder_is_wrong_and_named_with_where_it_comes_from(tmp_path, name, capsys):
    assert main([name, str(tmp_path / "nowhere")]) == 1
    assert "WRONG: there is no folder" in capsys.readouterr().out
    assert main([name, str(tmp_path)]) == 1
    assert f"obtain it from {OWNERS[name]}" in capsys.readouterr().out


def test_the_other_compression_is_hinted_at(tmp_path, deepfake_detection):
    deepfake_detection(tmp_path, "c40")
    lines, wrong = check("DeepfakeDetection", tmp_path)
    assert wrong and "there are videos of compression c40: give --compression" in "\n".join(lines)
    assert not check("DeepfakeDetection", tmp_path, "c40")[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("Celeb-DF-v2", "test: 2 real and 1 fake videos (official: 178 and 340)"),
     ("Celeb-DF-v2-all", "test: 3 real and 2 fake videos (official: 890 and 5639)")],
)  # fmt: skip
def test_celeb_df_is_counted_with_its_labels_turned_round(tmp_path, celeb_df, name, said):
    celeb_df(tmp_path)
    lines, wrong = check(name, tmp_path)
    assert said in "\n".join(lines) and not wrong


def test_dfdc_tells_its_share_of_fakes(tmp_path, dfdc):
    dfdc(tmp_path, test=True)
    lines, wrong = check("DFDC", tmp_path)
    assert "test: 1 real and 1 fake videos, 2 people or sources, 50% fake" in "\n".join(lines)
    assert "missing: 1 listed videos (fake/ccc)" in "\n".join(lines) and not wrong


def test_a_person_in_two_splits_is_a_leak(tmp_path, face_forensics):
    face_forensics(tmp_path)
    (tmp_path / "splits/test.json").write_text(json.dumps([["953", "000"]]))
    assert any("000 is listed twice" in line for line in check("FaceForensics++", tmp_path)[1])


def test_one_photograph_of_a_person_in_another_split_is_a_leak(tmp_path):
    for name in ("CelebA-HQ/000_0.png", "CelebA-HQ/000_1.png", "ProGAN/0000.png"):
        write_png(tmp_path / name, np.full((4, 4, 3), len(name), np.uint8))
    (tmp_path / "splits").mkdir()
    lists = {"train": ["CelebA-HQ/000_0.png", "ProGAN/0000.png"], "val": [], "test": ["CelebA-HQ/000_1.png"]}
    for split, names in lists.items():
        (tmp_path / f"splits/{split}.json").write_text(json.dumps(names))
    assert any("CelebA-HQ/000 is in more than one split" in line for line in check("CelebA-HQ", tmp_path)[1])


def test_the_same_file_under_two_names_in_two_splits_is_a_leak_and_other_files_of_its_length_are_none(tmp_path):
    noise = np.random.default_rng(0)
    for person in range(30):
        write_png(tmp_path / "real" / f"{person:03d}.png", noise.integers(0, 2, (9, 9, 3), np.uint8))
        write_png(tmp_path / "fake" / f"x{person:03d}.png", np.full((9, 9, 3), person, np.uint8))
    assert not [line for line in check("folders", tmp_path)[1] if "/fake/" in line]
    for person in range(30):
        write_png(tmp_path / "fake" / f"x{person:03d}.png", np.full((9, 9, 3), 7, np.uint8))
    assert any("the same file is in two splits" in line for line in check("folders", tmp_path)[1])


def test_wild_deepfake_is_counted_by_sequence_and_a_copied_archive_is_a_leak(tmp_path, wild_deepfake, pack):
    wild_deepfake(tmp_path)
    for number in range(1, 5):  # other pictures than those of the training part
        pack(tmp_path / f"real_test/{number}.tar.gz", {f"s/{f}.png": 100 + number + f for f in range(3)})
        pack(tmp_path / f"fake_test/{number}.tar.gz", {f"s/{f}.png": 200 + number + f for f in range(3)})
    lines, wrong = check("WildDeepfake", tmp_path)
    assert not wrong and "test: 4 real and 4 fake sequences, 8 people or sources" in "\n".join(lines)
    assert "sequences: train 16 of 6508, test 8 of 806" in "\n".join(lines)
    assert "4 archive numbers are in train and in test; they count anew in each folder" in "\n".join(lines)
    (tmp_path / "fake_test/2.tar.gz").write_bytes((tmp_path / "fake_train/1.tar.gz").read_bytes())
    assert any("the same file is in two splits" in line for line in check("WildDeepfake", tmp_path)[1])


def test_a_name_that_is_no_layout_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["FaceForensics", "."])
    assert "FaceForensics++" in capsys.readouterr().err
