import pytest

from lib.data import layouts
from lib.params import DataSet


def listed(table):
    return table[["label", "method", "video", "identity", "split"]].to_numpy().tolist()


def test_celeb_df_is_its_official_list_with_the_labels_turned_round(tmp_path, celeb_df):
    assert listed(layouts.videos(celeb_df(tmp_path))) == [
        [0, "Celeb-real", "Celeb-real/id0_0000", "id0", "test"],
        [1, "Celeb-synthesis", "Celeb-synthesis/id0_id1_0000", "id0", "test"],
        [0, "YouTube-real", "YouTube-real/00170", "YouTube/00170", "test"],
    ]


def test_celeb_df_all_takes_every_video_and_misses_what_only_the_list_has(tmp_path, celeb_df):
    data_set = celeb_df(tmp_path)
    (tmp_path / "YouTube-real/00170.mp4").unlink()
    assert layouts.missing(data_set) == ["YouTube-real/00170"]
    every = DataSet(layout="Celeb-DF-v2-all", root=str(tmp_path))
    table = layouts.videos(every)
    assert table["label"].tolist() == [0, 0, 1, 1] and set(table["split"]) == {"test"}
    assert layouts.missing(every) == ["YouTube-real/00170"]


@pytest.mark.parametrize(
    ("line", "message"),
    [("fake Celeb-real/id0_0000.mp4", "line 2 is not"), ("1 Celeb-fake/id0.mp4", "line 2 is not"),
     ("0 Celeb-real/id0_0000.mp4", "line 2 calls Celeb-real/id0_0000.mp4 0, but 1 is real there")],
)  # fmt: skip
def test_a_list_of_celeb_df_that_says_something_else_is_named(tmp_path, celeb_df, line, message):
    data_set = celeb_df(tmp_path)
    (tmp_path / "List_of_testing_videos.txt").write_text(f"1 YouTube-real/00170.mp4\n{line}\n")
    with pytest.raises(ValueError, match=message):
        layouts.videos(data_set)
    (tmp_path / "List_of_testing_videos.txt").unlink()
    with pytest.raises(FileNotFoundError, match="List_of_testing_videos.txt: no such file"):
        layouts.videos(data_set)


def test_deepfake_detection_names_actors_scenes_and_masks(tmp_path, deepfake_detection):
    table = layouts.videos(deepfake_detection(tmp_path))
    fake = "01_02__exit_phone_room__YVGY8LOK"
    assert listed(table) == [
        [0, "original", "original/01__exit_phone_room", "01", "test"],
        [0, "original", "original/02__podium_speech_happy", "02", "test"],
        [1, "DeepFakeDetection", f"DeepFakeDetection/{fake}", "01", "test"],
    ]
    assert table["mask"].tolist()[:2] == ["", ""] and table["mask"].iloc[2].endswith(f"masks/videos/{fake}.mp4")


def test_deepfake_detection_has_its_own_compressions_and_names(tmp_path, deepfake_detection):
    data_set = deepfake_detection(tmp_path, "c40")
    assert len(layouts.videos(data_set)) == 3
    with pytest.raises(FileNotFoundError, match="no video of compression c23"):
        layouts.videos(DataSet(layout="DeepfakeDetection", root=str(tmp_path)))
    (tmp_path / "original_sequences/actors/c40/videos/033.mp4").touch()
    with pytest.raises(ValueError, match="033.mp4: not named actor__scene"):
        layouts.videos(data_set)


def test_dfdc_is_its_released_test_set_where_that_is_there(tmp_path, dfdc):
    data_set = dfdc(tmp_path, test=True)
    assert listed(layouts.videos(data_set)) == [
        [0, "real", "real/aaa", "aaa", "test"],
        [1, "fake", "fake/bbb", "bbb", "test"],
    ]
    assert layouts.missing(data_set) == ["fake/ccc"]


def test_dfdc_without_it_is_what_metadata_lists_or_the_last_ten_parts(tmp_path, dfdc):
    assert layouts.videos(dfdc(tmp_path))["video"].tolist() == ["fake/f0", "real/r0", "fake/f45", "real/r45"]
    table = layouts.videos(DataSet(layout="DFDC-40-49", root=str(tmp_path)))
    assert listed(table) == [[1, "fake", "fake/f45", "r45", "test"], [0, "real", "real/r45", "r45", "test"]]


def test_dfdc_lists_that_say_something_else_are_named(tmp_path, dfdc):
    data_set = dfdc(tmp_path, test=True)
    (tmp_path / "test/labels.csv").write_text("filename,label\naaa.mp4,maybe\n")
    with pytest.raises(ValueError, match="aaa.mp4 has the label 'maybe'"):
        layouts.videos(data_set)
    (tmp_path / "test/labels.csv").write_text("file,fake\n")
    with pytest.raises(ValueError, match="labels.csv: needs the columns filename,label"):
        layouts.videos(data_set)
    with pytest.raises(FileNotFoundError, match="no labels.csv and no metadata.json"):
        layouts.videos(DataSet(layout="DFDC", root=str(tmp_path / "test/videos")))
