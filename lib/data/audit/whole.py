"""Is a data set whole, and do its splits keep people and sources apart? `python -m lib.data.audit NAME PATH`."""

import os
from collections import Counter
from dataclasses import dataclass, field

import pandas as pd
from tqdm.auto import tqdm

from lib import paths
from lib.data import layouts, unpack, video_sets, wild_deepfake
from lib.params import DataSet
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


@dataclass
class Report:
    """What `check` found: lines to print, and what is wrong: a missing folder or a leak."""

    lines: list = field(default_factory=list)
    wrong: list = field(default_factory=list)

    def __str__(self):
        verdict = [f"WRONG: {line}" for line in self.wrong] or ["nothing is wrong"]
        return "\n".join([*self.lines, *verdict])


def check(name, path, compression="c23", progress=True):
    """Return a Report on the data set at `path` in the layout `name`: what is there, what is missing, what leaks.

    Wrong are: no folder, a folder that the layout needs, a file that does not fit it, a person or source video in two
    splits, the same file in two splits. Videos that the lists name and the disk lacks are told, but not wrong.
    """
    report = Report([f"{name} at {paths.show(path)}"])
    data_set = DataSet(layout=name, root=str(path), compression=compression)
    root = paths.resolve(path)
    absent = [folder for folder in _folders(name, compression) if not (root / folder).is_dir()] if root.is_dir() else []
    if not root.is_dir():
        report.wrong.append(f"there is no folder {paths.show(path)}; obtain it from {OWNERS[name]}")
        return report
    if absent:
        report.wrong.append(f"no folder {', '.join(absent)}; obtain it from {OWNERS[name]}")
        report.lines += _other_compressions(name, root, compression)
    try:
        table, notes = _read(data_set, progress)
    except (ValueError, FileNotFoundError) as error:
        report.wrong.append(str(error))
        return report
    report.lines += [*_counts(name, table), *notes]
    report.wrong += _leaks(table)
    return report


def _folders(name, compression):
    """Return the folders that a layout needs, relative to its root."""
    if name == "FaceForensics++":
        methods = [f"manipulated_sequences/{method}/{compression}/videos" for method in layouts.METHODS]
        return ["splits", f"original_sequences/youtube/{compression}/videos", *methods]
    if name == "DeepfakeDetection":
        kinds = ("original_sequences/actors", "manipulated_sequences/DeepFakeDetection")
        return [f"{kind}/{compression}/videos" for kind in kinds]
    if name.startswith("Celeb-DF"):
        return list(video_sets.CELEB_DF)
    if name == "DFDC-40-49":
        return [f"dfdc_train_part_{part}" for part in video_sets.DFDC_PARTS]
    return ["real", "fake"] if name == "folders" else []


def _other_compressions(name, root, compression):
    others = [c for c in ("raw", "c23", "c40") if c != compression]
    there = [c for c in others if any((root / folder).is_dir() for folder in _folders(name, c) if c in folder)]
    return [f"there are videos of compression {', '.join(there)}: give --compression"] if there else []


def _read(data_set, progress):
    """Return the table of a data set, splits unchecked, and notes on it."""
    if data_set.layout == "WildDeepfake":
        return _read_wild(layouts.root_of(data_set), progress)
    if data_set.layout not in layouts.VIDEO_LAYOUTS:
        table = layouts.images(data_set)
        listed = [] if (paths.resolve(data_set.root) / "splits").is_dir() else ["no lists in splits/: drawn by a hash"]
        return table.assign(file=table["path"]), listed
    table = layouts.videos(data_set)
    absent = layouts.missing(data_set)
    notes = []
    if absent:
        first = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
        notes.append(f"missing: {len(absent)} listed videos ({first}); obtain them from {OWNERS[data_set.layout]}")
    if data_set.layout.startswith("Celeb-DF") and not data_set.layout.endswith("all"):
        notes.append("its people are in the videos outside of the list too: use it for testing only")
    return table.assign(file=table["path"]), notes


def _read_wild(root, progress):
    """Return one row a sequence."""
    rows, notes = [], []
    listed = wild_deepfake.archives(root)
    for file, label, split, name in tqdm(listed, "archives", leave=False, delay=2, disable=not progress):
        try:
            found = unpack.sequences(file)
        except ValueError as error:
            notes.append(str(error))
            continue
        rows += [
            (str(file), label, wild_deepfake.KINDS[label], f"{name}/{sequence}", name, split, "") for sequence in found
        ]
    numbers = {part: {name.split("/")[1] for *_, split, name in listed if (split == "test") == (part == "test")}
               for part in ("train", "test")}  # fmt: skip
    shared = numbers["train"] & numbers["test"]
    if shared:
        notes.append(f"{len(shared)} archive numbers are in train and in test; they count anew in each folder")
    table = pd.DataFrame(rows, columns=layouts.COLUMNS)
    official = table["split"].replace("val", "train").value_counts().to_dict()
    notes.append(f"sequences: train {official.get('train', 0)} of 6508, test {official.get('test', 0)} of 806")
    return table.assign(file=table["path"]), notes


def _counts(name, table):
    """Return one line a split: real, fake (each method where there are several), people or sources."""
    items = (
        "images" if name in ("CelebA-HQ", "FFHQ", "folders") else "sequences" if name == "WildDeepfake" else "videos"
    )
    lines = []
    for split in (s for s in layouts.SPLITS if (table["split"] == s).any()):
        part = table[table["split"] == split]
        fakes = part[part["label"] == 1]
        real, fake = len(part) - len(fakes), len(fakes)
        official = OFFICIAL.get(name, {}).get(split)
        whole = f" (official: {official[0]} and {official[1]})" if official and official != (real, fake) else ""
        methods = Counter(fakes["method"]) if fakes["method"].nunique() > 1 else {}
        each = f" = {', '.join(f'{count} {method}' for method, count in methods.items())}" if methods else ""
        people = part["identity"].nunique()
        lines.append(f"{split}: {real} real and {fake} fake {items}{each}{whole}, {people} people or sources, "
                     f"{fake / len(part):.0%} fake")  # fmt: skip
    return lines


def _leaks(table):
    leaks = []
    try:
        layouts.check_disjoint(table)
    except ValueError as error:
        leaks.append(str(error))
    files = table.drop_duplicates("file")
    copies = files.assign(copy=[str(staleness.fingerprint(file)) for file in files["file"]])
    copies = copies[[os.path.getsize(file) > 0 for file in copies["file"]]]
    for _, group in copies.groupby("copy"):
        if group["split"].nunique() > 1:
            one, other = group.drop_duplicates("split")["file"].iloc[:2]
            leaks.append(f"the same file is in two splits: {paths.show(one)} and {paths.show(other)}")
    return leaks
