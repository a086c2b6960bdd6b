"""Whether a data set fits its layout, and whether its images may be compared: of one size, and in colour like the rest.

Where fakes differ from photographs in size or colour, a detector learns that difference and nothing else.
"""

import contextlib

import numpy as np
from PIL import Image

from lib import paths
from lib.data.image import SUFFIXES
from lib.sections import ParamsError

HEADERS, DECODED = 50, 4  # of how many images of a source the size is read, and of how many the pixels, too
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
NO_COLOUR = 2  # grey levels: mean distance of the channels, which JPEG leaves in a grey picture

REAL_SOURCES = ("CelebA-HQ", "FFHQ")  # folders of photographs; these layouts are named after them
CELEB_DF = ("Celeb-real/, Celeb-synthesis/, YouTube-real/ and List_of_testing_videos.txt",
            ["List_of_testing_videos.txt", "Celeb-real", "Celeb-synthesis"])  # fmt: skip
INSIDE = {
    "FaceForensics++": ("original_sequences/, manipulated_sequences/ and splits/ with its three lists",
                        ["splits/*.json", "original_sequences/youtube/{}/videos",
                         "manipulated_sequences/*/{}/videos"]),
    "WildDeepfake": ("real_train/, real_test/, fake_train/ and fake_test/ with archives N.tar.gz",
                     ["real*train", "real*test", "fake*train", "fake*test"]),
    "Celeb-DF-v2": CELEB_DF,
    "Celeb-DF-v2-all": CELEB_DF,
    "DeepfakeDetection": ("original_sequences/actors/ and manipulated_sequences/DeepFakeDetection/",
                          ["original_sequences/actors/{}/videos", "manipulated_sequences/DeepFakeDetection/{}/videos"]),
    "DFDC": ("labels.csv or metadata.json beside the videos, or folders with these",
             ["labels.csv|*/labels.csv|metadata.json|*/metadata.json"]),
    "DFDC-40-49": ("dfdc_train_part_40/ to dfdc_train_part_49/, each with a metadata.json",
                   ["dfdc_train_part_4?/metadata.json"]),
    "CelebA-HQ": ("CelebA-HQ/ and a folder of each generator, such as ProGAN/ and StyleGAN/", ["CelebA-HQ"]),
    "FFHQ": ("FFHQ/ and a folder of each generator", ["FFHQ"]),
    "folders": ("real/ and fake/ with images", ["real", "fake"]),
}  # fmt: skip
"""{layout: (what its root holds, in words, patterns each of which has to find something there)}.

{}: the compression; |: one of these is enough.
"""


def is_there(data_set):
    """Say whether a params.DataSet has a root, and the root is a folder."""
    return bool(data_set.root) and paths.resolve(data_set.root).is_dir()


def layout(data_set):
    """Return what is wrong with the folder of a params.DataSet, in one line, or "". Looks at names alone."""
    root, (words, needs), lacking = paths.resolve(data_set.root), INSIDE[data_set.layout], ""
    for patterns in (need.format(data_set.compression).split("|") for need in needs):
        if not any(next(root.glob(pattern), None) for pattern in patterns):
            lacking = lacking or f"no {' or '.join(patterns)}"
    if data_set.layout in (*REAL_SOURCES, "folders") and not lacking:
        beside = [f for f in root.iterdir() if f.is_dir() and f.name not in (*REAL_SOURCES, "real")]
        if not has_images(root / needs[0]):
            lacking = f"no image ({', '.join(SUFFIXES)}) in {needs[0]}/"
        elif not any(map(has_images, beside)):
            lacking = f"no folder of fake images beside {needs[0]}/"
    if not lacking:
        return ""
    there = sorted(file.name for file in root.iterdir() if not file.name.startswith("."))
    listed = ", ".join(there[:5]) + (", ..." if len(there) > 5 else "") or "nothing"
    return f"{data_set.root} has {lacking}: layout {data_set.layout} wants {words}; there is {listed}"


def has_images(folder):
    """Say whether an image lies somewhere in a folder."""
    return any(file.suffix.lower() in SUFFIXES for file in folder.rglob("*"))


def look(table, seed=0):
    """Return {source: (its sides, whether it is grey)} of a seeded sample of each source of a table of images.

    sides: the shorter sides in pixels that occur, sorted; grey: whether most pictures have no colour. A file that is no
    image is left to those who read it.
    """
    found = {}
    for source, files in table.groupby("method", sort=False)["path"]:
        sides, greys = set(), []
        chosen = np.random.default_rng(seed).choice(len(files), min(len(files), HEADERS), replace=False)
        for file in files.iloc[chosen]:
            with contextlib.suppress(*UNREADABLE), Image.open(file) as picture:
                sides.add(min(picture.size))
                if len(greys) < DECODED:
                    greys.append(np.ptp(np.asarray(picture.convert("RGB"))[::4, ::4], axis=2).mean() < NO_COLOUR)
        if sides:
            found[source] = sorted(sides), bool(sum(greys) > len(greys) / 2)
    return found


def within(data_set, table):
    """Raise ParamsError in one line unless the images of a set are of one size (or `resize` is true), all grey or none.

    table: its images.
    """
    found = look(table)
    if len({side for sides, _ in found.values() for side in sides}) > 1 and not data_set.resize:
        sizes = ", ".join(f"{source} {' to '.join(map(str, sides[:: len(sides) - 1 or 1]))} px"
                          for source, (sides, _) in found.items())  # fmt: skip
        raise ParamsError(f"{data_set.root}: its images differ in size ({sizes}); {_resize()}")
    grey = [source for source, (_, no_colour) in found.items() if no_colour]
    if 0 < len(grey) < len(found):
        others = ", ".join(source for source in found if source not in grey)
        raise ParamsError(
            f"{data_set.root}: {', '.join(grey)} is grey and {others} in colour; use pictures of one kind"
        )


def between(named, size):
    """Raise ParamsError in one line for a set that cannot be compared with the first one, or would be enlarged.

    named: {key in params.yaml: (params.DataSet, table of its images)}; size: side at which those are read that have no
    `size` of their own. Images have to be as large as the first set's, unless the set has a `size`, and not smaller
    than they are read; `resize: true` allows both. They have to be grey, or in colour, as the first set's are.
    """
    first = {}
    for key, (data_set, table) in named.items():
        found = look(table)
        if not found:
            continue
        side, grey = min(sides[0] for sides, _ in found.values()), all(no_colour for _, no_colour in found.values())
        first, there = first or {"key": key, "side": side, "grey": grey}, f"{key}: the images of {data_set.root} are"
        if not data_set.resize and side < (data_set.size or size):
            raise ParamsError(f"{there} of {side} px and would be enlarged to {data_set.size or size}; {_resize(side)}")
        if not (data_set.resize or data_set.size) and side != first["side"]:
            raise ParamsError(f"{there} of {side} px, those of {first['key']} of {first['side']}; {_resize(side)}")
        if grey != first["grey"]:
            mine, other = ("grey", "in colour") if grey else ("in colour", "grey")
            raise ParamsError(f"{there} {mine}, those of {first['key']} {other}; use pictures of one kind")


def _resize(side=None):
    size = f"`size: {side}`, if they are to be read at that, or " if side else ""
    return f"write {size}`resize: true` beside its root in params.yaml to bring them to one size on purpose"
