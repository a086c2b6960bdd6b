"""WildDeepfake: archives of sequences of face images, used as they are (`lib.data.unpack`), with its official split.

Zi et al., "WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection", ACM MM 2020. The faces are cut out
already; an archive (N.tar.gz) holds the sequences of one source video, so no split ever divides one.
"""

import re
from pathlib import Path

from lib import paths
from lib.data import layouts

SUFFIXES = (".tar.gz", ".tgz", ".tar")
KINDS = ("real", "fake")


def archives(root, seed=0):
    """List the archives as (path, label, split, name "fake_train/12"), those of "real train" first.

    root: a folder that holds "real_train", "real_test", "fake_train" and "fake_test" (a space will do for the _).
    There is no official validation part: a seeded hash holds 10 % of the training archives out for it.
    Raises FileNotFoundError naming the first folder that is missing.
    """
    listed = []
    for label, kind in enumerate(KINDS):
        for part in ("train", "test"):
            folder = part_folder(root, kind, part)
            if folder is None:
                raise FileNotFoundError(f"{paths.show(root)}: no folder {kind}_{part}; it holds archives N.tar.gz")
            for file in sorted((f for f in folder.iterdir() if _stem(f)), key=lambda f: (len(f.name), f.name)):
                name = f"{kind}_{part}/{_stem(file)}"
                held_out = part == "train" and layouts.share_of(name, seed) < layouts.VAL_SHARE
                listed.append((file, label, "val" if held_out else part, name))
    return listed


def part_folder(root, kind, part):
    """Return the folder of one part ("real", "train"), whatever stands between its two words, or None."""
    named = (folder for folder in sorted(Path(root).glob(f"{kind}*{part}")) if folder.is_dir())
    return next((folder for folder in named if re.fullmatch(f"{kind}[ _-]?{part}", folder.name)), None)


def rows(listed, records):
    """Return one row a frame for `lib.data.layouts.COLUMNS` and frame; listed: of `archives`, records: one each."""
    return [
        (f"{name}/{file}", label, KINDS[label], f"{name}/{sequence}", name, split, "", frame)
        for (_, label, split, name), record in zip(listed, records, strict=True)
        for sequence, found in record["sequences"].items()
        for frame, file in found
    ]


def _stem(file):
    """Return the name of an archive without its ending, or "" for a file that is none."""
    ending = next((ending for ending in SUFFIXES if file.name.endswith(ending)), None)
    return file.name.removesuffix(ending) if ending and not file.name.startswith(".") else ""
