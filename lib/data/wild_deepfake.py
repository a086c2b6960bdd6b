"""WildDeepfake: archives of sequences of face images, used as they are (`lib.data.unpack`), with its official split.

Zi et al., "WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection", ACM MM 2020. The faces are cut out
already; an archive (N.tar.gz) holds the sequences of one source video, so no split ever divides one.
"""

import re
from pathlib import Path

from lib import paths
from lib.data import layouts

NAME = re.compile(r"([^.].*)\.(tar\.gz|tgz|tar)")
KINDS = ("real", "fake")


def archives(root, seed=0):
    """List the archives as (path, label, split, name "fake_train/12"), those of "real train" first.

    root: a folder that holds "real_train", "real_test", "fake_train" and "fake_test" (or with a space, - or nothing in
    place of the _). There is no official validation part: a seeded hash takes 10 % of the training archives for it.
    Raises FileNotFoundError naming the first folder that is missing.
    """
    listed = []
    for label, kind in enumerate(KINDS):
        for part in ("train", "test"):
            named = (f for f in sorted(Path(root).iterdir()) if re.fullmatch(f"{kind}[ _-]?{part}", f.name))
            folder = next((folder for folder in named if folder.is_dir()), None)
            if folder is None:
                raise FileNotFoundError(f"{paths.show(root)}: no folder {kind}_{part}; it holds archives N.tar.gz")
            for file in sorted(folder.iterdir(), key=lambda f: (len(f.name), f.name)):
                if found := NAME.fullmatch(file.name):
                    name = f"{kind}_{part}/{found[1]}"
                    held_out = part == "train" and layouts.share_of(name, seed) < layouts.VAL_SHARE
                    listed.append((file, label, "val" if held_out else part, name))
    return listed


def rows(listed, records):
    """Return one row a frame, of `lib.data.layouts.COLUMNS` and frame, for `archives` and their records."""
    return [
        (f"{name}/{file}", label, KINDS[label], f"{name}/{sequence}", name, split, "", frame)
        for (_, label, split, name), record in zip(listed, records, strict=True)
        for sequence, found in record["sequences"].items()
        for frame, file in found
    ]
