"""lib.data.check: images of another size, or grey ones among coloured ones, never reach a table unseen."""

import re

import numpy as np
import pytest
from PIL import Image

from lib import paths
from lib.data import check, layouts
from lib.params import DataSet, ParamsError


@pytest.fixture
def made(tmp_path):
    """A function that writes a set of images, {source: (height, width, in colour)}, in the layout CelebA-HQ."""
    random = np.random.default_rng(0)

    def make(name="set", count=3, **sources):
        for source, (height, width, colour) in sources.items():
            (tmp_path / name / source).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (height, width, 3 if colour else 1), dtype=np.uint8)
                picture = Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).copy())
                picture.save(tmp_path / name / source / f"{number}.png")
        return DataSet(layout="CelebA-HQ", root=str(tmp_path / name))

    return make


def named(*sets):
    return {f"set {place}": (data_set, layouts.images(data_set)) for place, data_set in enumerate(sets)}


def test_fakes_of_another_size_than_the_photographs_are_refused_or_resized_on_purpose(made):
    data_set = made(**{"CelebA-HQ": (64, 64, True), "ProGAN": (32, 32, True)})
    with pytest.raises(ParamsError, match=r"/set: its images differ in size \(CelebA-HQ 64 px, ProGAN 32 px\); write "
                                          r"`resize: true` beside its root"):  # fmt: skip
        layouts.images(data_set)
    assert len(layouts.images(data_set.replace(resize=True))) == 6


def test_grey_fakes_among_coloured_photographs_are_refused_and_grey_ones_among_grey_ones_are_not(made):
    data_set = made(**{"CelebA-HQ": (32, 32, True), "ProGAN": (32, 32, False), "StyleGAN": (32, 32, True)})
    wanted = "/set: ProGAN is grey and CelebA-HQ, StyleGAN in colour; use pictures of one kind"
    for each in (data_set, data_set.replace(resize=True)):
        with pytest.raises(ParamsError, match=wanted):
            layouts.images(each)
    assert len(layouts.images(made("grey", **{"CelebA-HQ": (32, 32, False), "ProGAN": (32, 32, False)}))) == 6


def test_of_an_oblong_photograph_the_side_counts_that_its_square_has(made):
    """LSUN: photographs of 341 x 256 beside fakes of 256 x 256."""
    assert len(layouts.images(made(**{"CelebA-HQ": (32, 48, True), "ProGAN": (32, 32, True)}))) == 6


def test_a_test_set_of_another_size_is_refused_unless_that_is_meant(made):
    learned, large, small = (
        made(name, **{"CelebA-HQ": (side, side, True), "ProGAN": (side, side, True)})
        for name, side in (("learned", 32), ("large", 64), ("small", 16))
    )
    check.between(named(learned, learned), 32)
    with pytest.raises(ParamsError, match=r"^set 1: the images of .*/large are of 64 px, those of set 0 of 32; write "
                                          r"`size: 64`, .* or `resize: true`"):  # fmt: skip
        check.between(named(learned, large), 32)
    with pytest.raises(ParamsError, match=r"^set 1: the images of .*/small are of 16 px and would be enlarged to 32; "):
        check.between(named(learned, small), 32)
    check.between(named(learned, large.replace(size=64), small.replace(size=16)), 32)
    check.between(named(learned, large.replace(resize=True), small.replace(resize=True)), 32)
    with pytest.raises(ParamsError, match=r"^set 0: .*/small are of 16 px and would be enlarged to 1024"):
        check.between(named(small), 1024)


def test_a_grey_test_set_of_a_detector_that_learned_from_colours_is_refused(made):
    colour, grey = (
        made(name, **{"CelebA-HQ": (32, 32, kind), "ProGAN": (32, 32, kind)})
        for name, kind in (("colour", True), ("grey", False))
    )
    for first, second, words in ((colour, grey, "grey, those of set 0 in colour"),
                                 (grey, colour, "in colour, those of set 0 grey")):  # fmt: skip
        with pytest.raises(ParamsError, match=f"^set 1: the images of .* are {words}"):
            check.between(named(first, second), 32)


def test_a_broken_file_is_left_to_the_one_who_reads_it(made, tmp_path):
    data_set = made(**{"CelebA-HQ": (32, 32, True), "ProGAN": (32, 32, True)})
    (tmp_path / "set/ProGAN/1.png").write_bytes(b"")
    assert len(layouts.images(data_set)) == 6


def test_a_sample_of_each_source_is_enough_and_always_the_same(made, monkeypatch):
    data_set = made(count=check.HEADERS + 5, **{"CelebA-HQ": (8, 8, True), "ProGAN": (8, 8, True)})
    table, opened, original = layouts.images(data_set), [], Image.open
    monkeypatch.setattr(check.Image, "open", lambda path: opened.append(path) or original(path))
    check.look(table)
    check.look(table)
    assert len(opened) == 2 * 2 * check.HEADERS and opened[: len(opened) // 2] == opened[len(opened) // 2 :]


@pytest.mark.skipif(not (paths.DATA / "CelebA-HQ").is_dir(), reason="the bundled data are not restored")
def test_the_bundled_images_are_all_grey_and_of_128_pixels():
    table = layouts.images(DataSet(layout="CelebA-HQ", root="data/CelebA-HQ"))
    assert check.look(table) == dict.fromkeys(("CelebA-HQ", "ProGAN", "StyleGAN"), ([128], True))
    assert table.groupby(["method", "split"]).size().unstack().nunique().eq(1).all(), "as many real as fake ones"


WRONG = [  # layout, files, what is lacking
    ("FaceForensics++", ["splits/test.json", "original_sequences/youtube/c40/videos/a.mp4"],
     "no original_sequences/youtube/c23/videos"),
    ("WildDeepfake", ["real train/1.tar.gz", "fake train/1.tar.gz", "real test/1.tar.gz"], r"no fake\*test"),
    ("Celeb-DF-v2", ["Celeb-real/a.mp4", "Celeb-synthesis/a.mp4"], "no List_of_testing_videos.txt"),
    ("DeepfakeDetection", ["original_sequences/youtube/c23/videos/a.mp4"], "no original_sequences/actors/c23/videos"),
    ("DFDC", ["a.mp4"], r"no labels.csv or \*/labels.csv or metadata.json or \*/metadata.json"),
    ("DFDC-40-49", ["dfdc_train_part_3/metadata.json"], r"no dfdc_train_part_4\?/metadata.json"),
    ("CelebA-HQ", ["CelebA-HQ/a.npy", "ProGAN/a.png"], r"no image \(.*\) in CelebA-HQ/"),
    ("FFHQ", ["FFHQ/a.png"], "no folder of fake images beside FFHQ/"),
    ("folders", ["real/a.png", "fakes/a.png"], "no fake"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "files", "lacking"), WRONG, ids=lambda value: value if "/" not in value else "")
def test_a_wrong_layout_is_one_line_with_what_is_wanted_and_what_is_there(layout, files, lacking, tmp_path):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = check.layout(DataSet(layout=layout, root=str(tmp_path)))
    assert re.search(f"^{tmp_path} has {lacking}: layout .* wants .*; there is .*{files[0].split('/')[0]}", found)
    assert "\n" not in found


def test_a_right_layout_passes(tmp_path, face_forensics, celeb_df, deepfake_detection, dfdc, wild_deepfake):
    for name, make in (
        ("a", face_forensics),
        ("b", celeb_df),
        ("c", deepfake_detection),
        ("d", dfdc),
        ("e", wild_deepfake),
    ):
        assert check.layout(make(tmp_path / name)) == ""
