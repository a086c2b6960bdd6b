"""One archive of face images to files: what is in it, and images at equal intervals of each sequence."""

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


def unpack(file, folder, count):
    """Unpack `count` images at equal intervals of each sequence; returns ({sequence: [[frame, "SEQ/NAME"]]}, reason).

    An image keeps its bytes and lies at folder/SEQUENCE/NAME; frame: its number, else its place. reason: "", or which
    images were left out because they cannot be read. Raises ValueError in one line for an archive that is damaged.
    """
    wanted = {}
    for name, members in sequences(file).items():
        for index in video.equal_interval(len(members), count):
            member = PurePosixPath(members[index])
            frame = int(member.stem) if member.stem.isdecimal() else int(index)
            wanted[members[index]] = (name, frame, f"{name}/{member.name}")
    frames, unreadable = {}, []
    with tarfile.open(file) as archive:
        for member in archive:
            if member.name in wanted:
                name, frame, path = wanted[member.name]
                data = archive.extractfile(member).read()
                paths.replace(folder / path, lambda unfinished, data=data: unfinished.write_bytes(data))
                try:
                    image.read_image(folder / path)
                except ValueError:
                    unreadable.append(path)
                    (folder / path).unlink()
                    continue
                frames.setdefault(name, []).append([frame, path])
    reason = f"{len(unreadable)} images cannot be read, the first is {unreadable[0]}" if unreadable else ""
    return {name: sorted(frames[name]) for name in sorted(frames)}, reason


def unpack_to_files(folder, file, count):
    """Unpack one archive to `folder` and return its record, {"sequences": as of `unpack`, "reason"}."""
    try:
        frames, reason = unpack(file, folder, count)
    except ValueError as error:
        frames, reason = {}, str(error).removeprefix(f"{paths.show(file)}: ")
    return {"sequences": frames, "reason": reason}


def _frame_order(name):
    stem = PurePosixPath(name).stem
    return (int(stem), name) if stem.isdecimal() else (-1, name)
