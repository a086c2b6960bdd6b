import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from lib.data import layouts
from lib.data.image import write_png
from lib.params import DataSet

PIXEL = np.zeros((2, 2, 3), np.uint8)


def test_faceforensics_gives_each_video_its_label_method_target_and_official_split(tmp_path, face_forensics):
    table = layouts.videos(face_forensics(tmp_path)).set_index("video")
    assert len(table) == 8 * 5
    assert table.loc["original/953", ["label", "method", "identity", "split"]].tolist() == [
        0,
        "original",
        "953",
        "test",
    ]
    fake = table.loc["FaceSwap/672_720"]
    assert fake[["label", "method", "identity", "split"]].tolist() == [1, "FaceSwap", "672", "val"]
    assert table["label"].groupby(table["split"]).mean().eq(0.8).all()


def test_both_people_in_a_fake_belong_to_its_split(tmp_path, face_forensics):
    table = layouts.videos(face_forensics(tmp_path))
    split_of = table[table["label"] == 0].set_index("identity")["split"]
    for fake in table[table["label"] == 1].itertuples():
        target, source = fake.video.split("/")[1].split("_")
        assert split_of[target] == split_of[source] == fake.split


def test_a_video_that_is_listed_but_absent_is_counted_as_missing_and_the_rest_is_used(tmp_path, face_forensics):
    data_set = face_forensics(tmp_path)
    (tmp_path / "original_sequences/youtube/c23/videos/974.mp4").unlink()
    assert layouts.missing(data_set) == ["original/974"]
    table = layouts.videos(data_set)
    assert len(table) == 39 and "FaceSwap/953_974" in set(table["video"])


def test_a_video_that_no_split_names_is_named_rather_than_put_somewhere(tmp_path, face_forensics):
    data_set = face_forensics(tmp_path)
    (tmp_path / "manipulated_sequences/Deepfakes/c23/videos/000_001.mp4").touch()
    with pytest.raises(ValueError, match="000_001.mp4"):
        layouts.videos(data_set)


def test_a_mask_video_is_found_beside_its_fake(tmp_path, face_forensics):
    data_set = face_forensics(tmp_path)
    mask = tmp_path / "manipulated_sequences/Face2Face/masks/videos/000_003.mp4"
    mask.parent.mkdir(parents=True)
    mask.touch()
    table = layouts.videos(data_set).set_index("video")
    assert table.loc["Face2Face/000_003", "mask"] == str(mask)
    assert (table["mask"] != "").sum() == 1


def test_the_other_compression_and_missing_or_broken_lists_are_named(tmp_path, face_forensics):
    data_set = face_forensics(tmp_path)
    with pytest.raises(FileNotFoundError, match="c40"):
        layouts.videos(DataSet(layout="FaceForensics++", root=str(tmp_path), compression="c40"))
    (tmp_path / "splits/val.json").write_text("[[")
    with pytest.raises(ValueError, match="val.json: not valid JSON"):
        layouts.videos(data_set)
    (tmp_path / "splits/val.json").write_text('[["953", "720"]]')
    with pytest.raises(ValueError, match="953 is listed twice"):
        layouts.videos(data_set)
    (tmp_path / "splits/val.json").unlink()
    with pytest.raises(FileNotFoundError, match="val.json"):
        layouts.videos(data_set)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        layouts.videos(DataSet(layout="FaceForensics++", root=str(tmp_path / "nowhere")))


def test_dfdc_turns_its_words_into_our_labels_and_names_the_original(tmp_path):
    part = tmp_path / "dfdc_train_part_0"
    part.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (part / name).touch()
    entries = {
        "a.mp4": {"label": "FAKE", "split": "train", "original": "b.mp4"},
        "b.mp4": {"label": "REAL", "split": "train"},
        "c.mp4": {"label": "REAL", "split": "train"},
    }
    (part / "metadata.json").write_text(json.dumps(entries))
    data_set = DataSet(layout="DFDC", root=str(tmp_path))
    table = layouts.videos(data_set)
    assert table[["label", "video", "identity", "split"]].to_numpy().tolist() == [
        [1, "fake/a", "b", "test"],
        [0, "real/b", "b", "test"],
    ]
    assert layouts.missing(data_set) == ["real/c"]


def sources(root, people=30):
    for person in range(people):
        for photo in range(2):
            write_png(root / "CelebA-HQ" / f"{person:03d}_{photo}.png", PIXEL)
        write_png(root / "ProGAN" / f"{person:04d}.png", PIXEL)
    return DataSet(layout="CelebA-HQ", root=str(root))


def test_all_photographs_of_a_person_share_a_split(tmp_path):
    table = layouts.images(sources(tmp_path), seed=0)
    real = table[table["label"] == 0]
    assert real["identity"].nunique() == 30 and len(real) == 60
    assert real.groupby("identity")["split"].nunique().max() == 1
    assert set(table["method"]) == {"CelebA-HQ", "ProGAN"} and set(table["split"]) == set(layouts.SPLITS)


def test_added_images_and_another_seed_do_what_they_should_to_the_splits(tmp_path):
    data_set = sources(tmp_path)
    before = layouts.images(data_set, seed=0).set_index("video")["split"]
    assert not before.equals(layouts.images(data_set, seed=1).set_index("video")["split"])
    write_png(tmp_path / "ProGAN" / "9999.png", PIXEL)
    after = layouts.images(data_set, seed=0).set_index("video")["split"]
    assert after[before.index].equals(before) and len(after) == len(before) + 1


def test_listed_splits_are_used_and_an_unlisted_image_is_named(tmp_path):
    data_set = sources(tmp_path, people=3)
    (tmp_path / "splits").mkdir()
    for person, split in enumerate(layouts.SPLITS):
        names = [f"CelebA-HQ/{person:03d}_0.png", f"CelebA-HQ/{person:03d}_1.png", f"ProGAN/{person:04d}.png"]
        (tmp_path / f"splits/{split}.json").write_text(json.dumps(names))
    table = layouts.images(data_set, seed=0).set_index("video")
    assert table.loc[["CelebA-HQ/000_1", "CelebA-HQ/001_0", "ProGAN/0002"], "split"].tolist() == [
        "train",
        "val",
        "test",
    ]
    write_png(tmp_path / "ProGAN" / "0003.png", PIXEL)
    with pytest.raises(ValueError, match="ProGAN/0003.png is in no list"):
        layouts.images(data_set, seed=0)


def test_lists_that_part_the_photographs_of_one_person_are_refused(tmp_path):
    data_set = sources(tmp_path, people=1)
    (tmp_path / "splits").mkdir()
    lists = {"train": ["CelebA-HQ/000_0.png", "ProGAN/0000.png"], "val": [], "test": ["CelebA-HQ/000_1.png"]}
    for split, names in lists.items():
        (tmp_path / f"splits/{split}.json").write_text(json.dumps(names))
    with pytest.raises(ValueError, match="CelebA-HQ/000 is in more than one split"):
        layouts.images(data_set, seed=0)


def test_in_plain_folders_a_real_and_a_fake_video_of_one_name_share_a_split(tmp_path):
    for index in range(40):
        for kind in ("real", "fake"):
            for frame in (0, 12):
                write_png(tmp_path / kind / f"{index:05d}" / f"{frame:05d}.png", PIXEL)
    table = layouts.images(DataSet(layout="folders", root=str(tmp_path)), seed=0)
    assert len(table) == 160 and table["video"].nunique() == 80 and set(table["frame"]) == {0, 12}
    assert table.groupby("identity")["split"].nunique().max() == 1
    assert table.groupby("split")["label"].mean().eq(0.5).all()


def test_in_plain_folders_a_swap_shares_the_split_of_both_people_it_names(tmp_path):
    for a, b in [("000", "003"), ("001", "870"), ("002", "006"), ("953", "974")]:
        for real, fake in ((a, f"{a}_{b}"), (b, f"{b}_{a}")):
            write_png(tmp_path / "real" / real / "0000.png", PIXEL)
            write_png(tmp_path / "fake" / fake / "0000.png", PIXEL)
    table = layouts.images(DataSet(layout="folders", root=str(tmp_path)), seed=3).set_index("video")
    assert table["identity"].nunique() == 4
    for video, row in table[table["label"] == 1].iterrows():
        for person in video.split("/")[1].split("_"):
            assert table.loc[f"real/{person}", "split"] == row["split"]


def test_pairs_csv_keeps_pairs_together_where_names_do_not_tell(tmp_path):
    names = [(f"r{i}", f"f{i}") for i in range(30)]
    for real, fake in names:
        write_png(tmp_path / "real" / f"{real}.png", PIXEL)
        write_png(tmp_path / "fake" / f"{fake}.png", PIXEL)
    data_set = DataSet(layout="folders", root=str(tmp_path))
    alone = layouts.images(data_set, seed=0).set_index("video")["split"]
    assert any(alone[f"real/{real}"] != alone[f"fake/{fake}"] for real, fake in names)
    (tmp_path / "pairs.csv").write_text("real,fake\n" + "".join(f"{real},{fake}\n" for real, fake in names))
    paired = layouts.images(data_set, seed=0).set_index("video")["split"]
    assert all(paired[f"real/{real}"] == paired[f"fake/{fake}"] for real, fake in names)
    (tmp_path / "pairs.csv").write_text("real,fake\n" + "".join(f"{real}.png,{fake}.png\n" for real, fake in names))
    assert layouts.images(data_set, seed=0).set_index("video")["split"].equals(paired)
    (tmp_path / "pairs.csv").write_text("real,fake\nx1,y1\n")
    with pytest.raises(ValueError, match=r"pairs.csv: none of its names"):
        layouts.images(data_set, seed=0)
    (tmp_path / "pairs.csv").write_text("original,fake\n")
    with pytest.raises(ValueError, match="pairs.csv: needs the columns real,fake"):
        layouts.images(data_set, seed=0)


def test_a_folder_without_images_is_named(tmp_path):
    write_png(tmp_path / "real" / "a.png", PIXEL)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match="fake/ with .*png.* is missing or empty"):
        layouts.images(DataSet(layout="folders", root=str(tmp_path)), seed=0)
    with pytest.raises(ValueError, match="holds images, not videos"):
        layouts.videos(DataSet(layout="folders", root=str(tmp_path)))


def test_a_fifth_of_the_people_is_tested_and_a_tenth_of_the_others_chooses_the_epoch():
    splits = pd.Series([layouts.split_of(f"{person:05}", 0) for person in range(20_000)]).value_counts(normalize=True)
    assert splits.to_dict() == pytest.approx({"train": 0.72, "test": 0.2, "val": 0.08}, abs=0.01)


def test_an_identity_in_two_splits_is_named():
    table = pd.DataFrame({"identity": ["a", "b", "b"], "video": ["1", "2", "3"], "split": ["train", "train", "test"]})
    with pytest.raises(ValueError, match="identity b is in more than one split: test, train"):
        layouts.check_disjoint(table)
    layouts.check_disjoint(table[:2])


def numbered(names, source="CelebA-HQ"):
    return pd.DataFrame({"identity": [f"{source}/{name}" for name in names], "method": source})


def test_celeba_hq_is_split_25_000_to_2_500_in_the_same_way_on_every_machine_and_under_every_name():
    table = pd.concat([numbered([f"{n:05}" for n in range(30_000)]), numbered(range(31_000), "ProGAN")])
    table = table.assign(split=layouts.draw(table, [25_000, 2_500, 2_500], 0))
    counts = table.groupby(["method", "split"]).size()
    assert counts.to_dict() == {(m, s): n for m in ("CelebA-HQ", "ProGAN")
                                for s, n in (("train", 25_000), ("val", 2_500), ("test", 2_500))}  # fmt: skip
    photographs = table[table["method"] == "CelebA-HQ"]
    test = sorted(photographs.loc[photographs["split"] == "test", "identity"].str.removeprefix("CelebA-HQ/"))
    assert hashlib.sha256("\n".join(test).encode()).hexdigest().startswith("1f15b4779fd19311")
    other = numbered([f"imgHQ{n:05}" for n in range(30_000)])
    assert layouts.draw(other, [25_000, 2_500, 2_500], 0) == photographs["split"].tolist()
    assert layouts.draw(other, [25_000, 2_500, 2_500], 1) != photographs["split"].tolist()


@pytest.mark.parametrize(
    ("there", "counts", "wanted"),
    [
        (27_500, [25_000, 2_500, 2_500], [22_916, 2_291, 2_291]),
        (12, [25_000, 2_500, 2_500], [10, 1, 1]),
        (6, [25_000, 2_500, 2_500], [4, 1, 1]),
        (3_000, [0, 0, 2_500], [0, 0, 2_500]),
        (40, [0, 0, 2_500], [0, 0, 40]),
    ],
)
def test_a_source_with_fewer_images_keeps_the_shares_and_never_lacks_a_split(there, counts, wanted):
    splits = layouts.draw(numbered(range(there)), counts, 0)
    assert [splits.count(split) for split in layouts.SPLITS] == wanted


def test_counts_of_a_data_set_are_drawn_from_its_folder_and_what_is_not_needed_is_left_out(tmp_path):
    data_set = sources(tmp_path).replace(counts=[20, 2, 4])
    table = layouts.images(data_set, seed=0)
    assert table.groupby(["method", "split"]).size().to_dict() == {
        (m, s): n for m in ("CelebA-HQ", "ProGAN") for s, n in (("train", 20), ("val", 2), ("test", 4))
    }
    assert table.groupby("identity")["split"].nunique().max() == 1, "both photographs of a person"
    (tmp_path / "splits").mkdir()
    for split in layouts.SPLITS:
        names = [f"{m}/{file.name}" for m in ("CelebA-HQ", "ProGAN") for file in (tmp_path / m).iterdir()]
        (tmp_path / f"splits/{split}.json").write_text(json.dumps(names if split == "test" else []))
    assert set(layouts.images(data_set, seed=0)["split"]) == {"test"}, "lists decide where there are any"


def test_a_real_and_a_fake_image_of_one_name_are_drawn_into_one_split(tmp_path):
    for kind, count in (("real", 30), ("fake", 50)):
        for number in range(count):
            write_png(tmp_path / kind / f"{number:03}.png", PIXEL)
    data_set = DataSet(layout="folders", root=str(tmp_path), counts=[16, 4, 8])
    table = layouts.images(data_set, seed=0)
    assert table.groupby(["method", "split"]).size().unstack().nunique().eq(1).all()
    assert table.groupby("identity")["split"].nunique().max() == 1
