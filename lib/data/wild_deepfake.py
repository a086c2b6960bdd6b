"""WildDeepfake: archives of sequences of face images, unpacked and used as they are, with its official split.

Zi et al., "WildDeepfake: A Challenging Real-World Dataset for Deepfake Detection", ACM MM 2020. The faces are cut out
already; an archive (N.tar.gz) holds the sequences of one source video, so no split ever divides one.
"""

import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from lib import paths
from lib.data import image, jobs, layouts, video

SUFFIXES = (".tar.gz", ".tgz", ".tar")
KINDS = ("real", "fake")
BROKEN = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


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


def sequences(file):
    """Return the sequences of an archive, {name: members in the order of their frame numbers}.

    A sequence is a folder of images; the members are names in the archive. Reads the whole archive, unpacks nothing.
    Raises ValueError in one line for an archive that is damaged.
    """
    found = {}
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                hidden = path.name.startswith(".") or ".." in path.parts
                if member.isfile() and path.suffix.lower() in image.SUFFIXES and not hidden:
                    found.setdefault("-".join(path.parent.parts) or "0", []).append(member.name)
    except BROKEN as error:
        raise ValueError(f"{paths.show(file)}: a damaged archive ({_first_line(error)})") from None
    return {name: sorted(members, key=_frame_order) for name, members in sorted(found.items())}


def unpack(file, folder, count):
    """Unpack `count` images at equal intervals of each sequence; returns ({sequence: [(frame, path)]}, reason).

    An image keeps its bytes and lies at folder/SEQUENCE/NAME; frame: its number, else its place. reason: "", or which
    images were left out because they cannot be read. Raises ValueError in one line for an archive that is damaged.
    """
    wanted = {}
    for name, members in sequences(file).items():
        for index in video.equal_interval(len(members), count):
            member = PurePosixPath(members[index])
            frame = int(member.stem) if member.stem.isdecimal() else int(index)
            wanted[members[index]] = (name, frame, folder / name / member.name)
    frames, unreadable = {}, []
    with tarfile.open(file) as archive:
        for member in archive:
            if member.name in wanted:
                name, frame, path = wanted[member.name]
                data = archive.extractfile(member).read()
                paths.replace(path, lambda unfinished, data=data: unfinished.write_bytes(data))
                try:
                    image.read_image(path)
                except ValueError:
                    unreadable.append(f"{name}/{path.name}")
                    path.unlink()
                    continue
                frames.setdefault(name, []).append((frame, path))
    reason = f"{len(unreadable)} images cannot be read, the first is {unreadable[0]}" if unreadable else ""
    return {name: sorted(frames[name]) for name in sorted(frames)}, reason


def unpack_record(job, count):
    """Unpack one archive and return its record, which is written last and says that it is finished.

    job: (folder, fingerprint, archive). Record: {"source", "sequences": {name: [[frame, file], ...]}, "reason"}.
    """
    folder, source, file = job
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run or an older archive left there
    record = {"source": source, "sequences": {}, "reason": ""}
    try:
        frames, record["reason"] = unpack(file, folder, count)
        record["sequences"] = {
            name: [[frame, path.relative_to(folder).as_posix()] for frame, path in found]
            for name, found in frames.items()
        }
    except ValueError as error:
        record["reason"] = str(error).removeprefix(f"{paths.show(file)}: ")
    return jobs.write_record(folder, record)


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


def _frame_order(name):
    stem = PurePosixPath(name).stem
    return (int(stem), name) if stem.isdecimal() else (-1, name)


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]
