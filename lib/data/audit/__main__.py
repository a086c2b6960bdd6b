"""`python -m lib.data.audit NAME PATH`: whether a data set is whole and its splits keep people and sources apart."""

import argparse
import os
import sys
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from lib import paths
from lib.data import layouts, unpack, video_sets, wild_deepfake
from lib.params import LAYOUTS, DataSet
from lib.training import staleness

FACE_FORENSICS = (
    "the download script that its authors send to those who fill in the form of the repository ondyari/FaceForensics"
)
DFDC = "the Deepfake Detection Challenge: the data set page of its owner, Meta AI, or of the competition at Kaggle"
CELEB_DF = "the request form of the repository yuezunli/celeb-deepfakeforensics"
OWNERS = {
    "FaceForensics++": f"{FACE_FORENSICS}; its folder dataset/splits holds the three lists",
    "WildDeepfake": "the request form of the repository deepfakeinthewild/deepfake-in-the-wild",
    "Celeb-DF-v2": CELEB_DF,
    "Celeb-DF-v2-all": CELEB_DF,
    "DeepfakeDetection": f"{FACE_FORENSICS} (DeepFakeDetection and DeepFakeDetection_original, by Google and Jigsaw)",
    "DFDC": DFDC,
    "DFDC-40-49": DFDC,
    "CelebA-HQ": "the repository tkarras/progressive_growing_of_gans (photographs and ProGAN) and NVlabs/stylegan",
    "FFHQ": "the repository NVlabs/ffhq-dataset",
    "folders": "yourself: real/ and fake/ with images, or with one folder of frames a video",
}
# What the whole data set holds, {split: (real, fake)} videos. Sources: the lists of the FaceForensics++ code, and the
# papers of Celeb-DF (Li et al., CVPR 2020) and of FaceForensics++ (Roessler et al., ICCV 2019; DeepFakeDetection).
OFFICIAL = {
    "FaceForensics++": {"train": (720, 2880), "val": (140, 560), "test": (140, 560)},
    "Celeb-DF-v2": {"test": (178, 340)},
    "Celeb-DF-v2-all": {"test": (890, 5639)},
    "DeepfakeDetection": {"test": (363, 3068)},
}


_FORENSICS = [f"manipulated_sequences/{method}/{{}}/videos" for method in layouts.METHODS]
FOLDERS = {  # that a layout needs, relative to its root; {}: the compression
    "FaceForensics++": ["splits", "original_sequences/youtube/{}/videos", *_FORENSICS],
    "DeepfakeDetection": ["original_sequences/actors/{}/videos", "manipulated_sequences/DeepFakeDetection/{}/videos"],
    "Celeb-DF-v2": [*video_sets.CELEB_DF],
    "Celeb-DF-v2-all": [*video_sets.CELEB_DF],
    "DFDC-40-49": [f"dfdc_train_part_{part}" for part in video_sets.DFDC_PARTS],
    "folders": ["real", "fake"],
}


def check(name, path, compression="c23"):
    """Return two lists of lines about the data set at `path` in the layout `name`: what is there, and what is wrong.

    Wrong are: a missing root, a missing folder that the layout needs, a file that does not fit the layout, a person or
    source video in two splits, the same file in two splits. Missing videos of the official lists are only reported.
    """
    lines, wrong, root = [f"{name} at {paths.show(path)}"], [], paths.resolve(path)
    if not root.is_dir():
        return lines, [f"there is no folder {paths.show(path)}; obtain it from {OWNERS[name]}"]
    folders = FOLDERS.get(name, [])
    absent = [there for there in (folder.format(compression) for folder in folders) if not (root / there).is_dir()]
    if absent:
        wrong.append(f"no folder {', '.join(absent)}; obtain it from {OWNERS[name]}")
        others = [c for c in ("raw", "c23", "c40") if c != compression
                  and any((root / folder.format(c)).is_dir() for folder in folders if "{}" in folder)]  # fmt: skip
        if others:
            lines.append(f"there are videos of compression {', '.join(others)}: give --compression")
    try:
        table, notes = _read(DataSet(layout=name, root=str(path), compression=compression))
    except (ValueError, FileNotFoundError) as error:
        return lines, [*wrong, str(error)]
    return [*lines, *_counts(name, table), *notes], [*wrong, *_leaks(table)]


def _read(data_set):
    """Return the table of a data set, of WildDeepfake one row a sequence, and notes on it."""
    root = layouts.root_of(data_set)
    if data_set.layout == "WildDeepfake":
        return _read_wild(root)
    if data_set.layout not in layouts.VIDEO_LAYOUTS:
        return layouts.images(data_set), [] if (root / "splits").is_dir() else ["no lists in splits/: drawn by a hash"]
    notes, absent = [], layouts.missing(data_set)
    if absent:
        first = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
        notes.append(f"missing: {len(absent)} listed videos ({first}); obtain them from {OWNERS[data_set.layout]}")
    if data_set.layout == "Celeb-DF-v2":
        notes.append("its people are in the videos outside of the list too: use it for testing only")
    return layouts.videos(data_set), notes


def _read_wild(root):
    rows, notes, listed = [], [], wild_deepfake.archives(root)
    for file, label, split, name in tqdm(listed, "archives", leave=False, delay=2):
        try:
            rows += [(str(file), label, wild_deepfake.KINDS[label], f"{name}/{sequence}", name, split, "")
                     for sequence in unpack.sequences(file)]  # fmt: skip
        except ValueError as error:
            notes.append(str(error))
    train, test = ({n.split("/")[1] for *_, n in listed if f"_{part}/" in n} for part in ("train", "test"))
    if train & test:
        notes.append(f"{len(train & test)} archive numbers are in train and in test; they count anew in each folder")
    table = pd.DataFrame(rows, columns=layouts.COLUMNS)
    tests = (table["split"] == "test").sum()
    return table, [*notes, f"sequences: train {len(table) - tests} of 6508, test {tests} of 806"]


def _counts(name, table):
    """Return one line a split: real, fake (each method where there are several), people or sources."""
    items = {"WildDeepfake": "sequences"} | dict.fromkeys(("CelebA-HQ", "FFHQ", "folders"), "images")
    lines = []
    for split in (s for s in layouts.SPLITS if (table["split"] == s).any()):
        part = table[table["split"] == split]
        fakes = part[part["label"] == 1]
        real, fake = len(part) - len(fakes), len(fakes)
        official = OFFICIAL.get(name, {}).get(split, (real, fake))
        whole = f" (official: {official[0]} and {official[1]})" if official != (real, fake) else ""
        methods = fakes.groupby("method", sort=False).size()
        each = f" = {', '.join(f'{count} {method}' for method, count in methods.items())}" if len(methods) > 1 else ""
        people = part["identity"].nunique()
        lines.append(f"{split}: {real} real and {fake} fake {items.get(name, 'videos')}{each}{whole}, "
                     f"{people} people or sources, {fake / len(part):.0%} fake")  # fmt: skip
    return lines


def _leaks(table):
    leaks = []
    try:
        layouts.check_disjoint(table)
    except ValueError as error:
        leaks.append(str(error))
    files = table.drop_duplicates("path")
    files = files[files["path"].map(os.path.getsize) > 0]
    for _, copies in files.groupby(files["path"].map(lambda path: str(staleness.fingerprint(path)))):
        if copies["split"].nunique() > 1:
            one, other = copies.drop_duplicates("split")["path"].iloc[:2]
            leaks.append(f"the same file is in two splits: {paths.show(one)} and {paths.show(other)}")
    return leaks


def main(arguments=None):
    """Run the command; returns 0, or 1 if anything is wrong."""
    about = "Say what is there of a data set, what is missing and whether its splits leak."
    parser = argparse.ArgumentParser(prog="python -m lib.data.audit", description=about)
    parser.add_argument("name", choices=LAYOUTS, metavar="NAME", help=", ".join(LAYOUTS))
    parser.add_argument("path", metavar="PATH", help="its root folder")
    parser.add_argument("--compression", choices=("raw", "c23", "c40"), default="c23", help="c23 unless given")
    options = parser.parse_args(arguments)
    lines, wrong = check(options.name, Path(options.path).expanduser().resolve(), options.compression)
    print(*lines, *([f"WRONG: {line}" for line in wrong] or ["nothing is wrong"]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    paths.end_with_the_reader()
    sys.exit(main())
