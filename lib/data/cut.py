"""One video to square face crops: find the faces, follow one, cut it out."""

import cv2
import numpy as np

from lib.data import video
from lib.data.face_detectors import detector
from lib.data.image import resize, write_png


def follow(boxes, previous):
    """Return the row of `boxes` (k, 4) that continues `previous` (4,): the highest overlap, else the largest area."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    if previous is None:
        return int(area.argmax())
    corner, other = np.maximum(boxes[:, :2], previous[:2]), np.minimum(boxes[:, 2:], previous[2:])
    shared = np.clip(other - corner, 0, None).prod(axis=1)
    overlap = shared / (area + (previous[2:] - previous[:2]).prod() - shared)
    return int(overlap.argmax() if overlap.max() > 0 else area.argmax())


def crop_square(image, box, margin, size):
    """Return the square around `box` (x1, y1, x2, y2), `margin` times its longer side, as (size, size) uint8.

    image: uint8 (H, W, 3) or (H, W). A square that leaves the image is moved inside; one larger than the image
    shrinks to its shorter side, so that no pixel is ever invented. Source: the crops of the FaceForensics++ code
    (get_boundingbox, margin 1.3).
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    side = max(min(round(margin * max(x2 - x1, y2 - y1)), height, width), 1)
    left = min(max(round((x1 + x2 - side) / 2), 0), width - side)
    top = min(max(round((y1 + y2 - side) / 2), 0), height - side)
    return resize(image[top : top + side, left : left + side], size)


def follow_face(frames, face_detector):
    """Yield (index, rgb, box) of the frames (index, rgb) in which a face is found.

    box: (x1, y1, x2, y2) in pixels. The largest face of the first frame that has one is followed by overlap.
    """
    box = None
    for index, rgb in frames:
        boxes, _, _ = face_detector.detect(rgb)
        if len(boxes):
            box = boxes[follow(boxes, box)]
            yield index, rgb, box


def cut_video(path, indices, settings, known=None):
    """Return [(frame index, box, crop)] of the frames of a video in which `follow_face` finds the face.

    settings: params.faces (detector, margin, size). known: {frame index: box} to crop at, in place of a detection.
    Raises as video.stream_frames.
    """
    frames, crops = video.stream_frames(path, indices), []
    found = ((i, rgb, known.get(i)) for i, rgb in frames) if known else follow_face(frames, detector(settings.detector))
    for index, rgb, box in found:
        if box is not None:
            box = [round(float(corner), 2) for corner in box]
            crops.append((index, box, crop_square(rgb, box, settings.margin, settings.size)))
    return crops


def cut_to_files(folder, path, mask, known, settings):
    """Write the crops of a video to `folder`/FRAME.png, those of its mask video to FRAME.mask.png; return a record.

    mask: path or "". known: as in `cut_video`. settings: params.faces. Record: wanted (the sampled frames), frames
    (those with a face) and their boxes, reused (whether the boxes are `known`), mask (whether its crops are there) and
    reason: "", or what went wrong.
    """
    record = {"wanted": [], "frames": [], "boxes": [], "reused": False, "mask": False, "reason": ""}
    try:
        wanted = video.equal_interval(video.frame_count(path), settings.frames_per_video)
        crops = cut_video(path, wanted, settings, known)
    except (ValueError, cv2.error) as error:
        return record | {"reason": _one_line(error, path)}
    frames, boxes = [frame for frame, *_ in crops], [box for _, box, _ in crops]
    record |= {"wanted": wanted.tolist(), "frames": frames, "boxes": boxes, "reused": bool(known)}
    if len(crops) < len(wanted):
        record["reason"] = f"no face in {len(wanted) - len(crops)} of {len(wanted)} frames"
    for frame, _, crop in crops:
        write_png(folder / f"{frame:04d}.png", crop)
    if mask and crops:
        try:
            for (frame, grey), box in zip(video.stream_frames(mask, frames), boxes, strict=True):
                crop = crop_square(grey[..., 0], box, settings.margin, settings.size)
                write_png(folder / f"{frame:04d}.mask.png", crop)
            record["mask"] = True
        except ValueError as error:
            record["reason"] = f"mask not used: {_one_line(error, mask)}"
    return record


def _one_line(error, path):
    return str(error).splitlines()[0].removeprefix(f"{path}: ")
