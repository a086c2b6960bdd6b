"""Unpack an archive of face images: which sequences it holds, and images of each at equal intervals."""

import gzip
import tarfile
import zlib
from pathlib import PurePosixPath

from lib import paths
from lib.data import image, video

BROKEN = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


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
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{paths.show(file)}: a damaged archive ({reason})") from None
    return {name: sorted(members, key=_frame_order) for name, members in sorted(found.items())}


def unpack(folder, file, count):
    """Unpack `count` images at equal intervals of each sequence to `folder`/SEQUENCE/NAME; return a record.

    An image keeps its bytes. Record: sequences {name: [[frame, "SEQUENCE/NAME"]]}, where frame is the number that names
    the image, else its place; and reason: "", or why the archive, or some of its images, cannot be read.
    """
    wanted, frames, unreadable = {}, {}, []
    try:
        found = sequences(file)
    except ValueError as error:
        return {"sequences": {}, "reason": str(error).removeprefix(f"{paths.show(file)}: ")}
    for name, members in found.items():
        for index in video.equal_interval(len(members), count):
            number, _ = _frame_order(members[index])
            wanted[members[index]] = (name, int(index) if number < 0 else number)
    with tarfile.open(file) as archive:
        for member in archive:
            if member.name in wanted:
                name, frame = wanted[member.name]
                path, data = f"{name}/{PurePosixPath(member.name).name}", archive.extractfile(member).read()
                paths.replace(folder / path, lambda unfinished, data=data: unfinished.write_bytes(data))
                try:
                    image.read_image(folder / path)
                    frames.setdefault(name, []).append([frame, path])
                except ValueError:
                    unreadable.append(path)
                    (folder / path).unlink()
    reason = f"{len(unreadable)} images cannot be read, the first is {unreadable[0]}" if unreadable else ""
    return {"sequences": {name: sorted(frames[name]) for name in sorted(frames)}, "reason": reason}


def _frame_order(name):
    """Return (frame number, name) of a member; -1 for a name that is no number."""
    stem = PurePosixPath(name).stem
    return (int(stem) if stem.isdecimal() else -1, name)
