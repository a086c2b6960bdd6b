"""Square face crops out of one video: find all faces, choose one person, and keep that person's faces."""

from collections import Counter

import cv2

from lib.data import tracks, video
from lib.data.face_detectors import detector
from lib.data.image import resize, write_png

BRIGHT = 127  # grey level above which a mask video says "manipulated"


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


def follow_faces(frames, face_detector, margin, size):
    """Return the tracks (see `lib.data.tracks`) of all faces (frame index, box, crop) in the frames (index, rgb).

    crop: uint8 (size, size, 3). Of each frame the crops alone are kept, not the frame.
    """
    found = []
    for index, rgb in frames:
        boxes, _, _ = face_detector.detect(rgb)
        boxes = [[round(float(corner), 2) for corner in box] for box in boxes]
        found.append([(index, box, crop_square(rgb, box, margin, size)) for box in boxes])
    return tracks.link(found)


def faces_in(found):
    """Return how many faces each frame has, {frame index: count}, of the tracks of a video."""
    return Counter(index for track in found for index, *_ in track)


def cut_video(path, indices, settings, mask="", known=None):
    """Return one person's [(frame index, box, crop)], {frame index: number of faces}, and how the person was chosen.

    settings: params.faces (detector, margin, size). mask: a mask video, or "". How: "" if the video shows one person;
    "mask": the person that the mask covers most; "track": the person in the most frames, if there is no mask or it
    covers nobody. known: the record of another quality of the video (see `cut_to_files`), to crop at its boxes.
    Raises the errors of video.stream_frames.
    """
    frames = video.stream_frames(path, indices)
    if known:
        boxes = dict(zip(known["frames"], known["boxes"], strict=True))
        counts = dict(zip(known["wanted"], known["faces"], strict=True))
        found = ((index, boxes[index], rgb) for index, rgb in frames if index in boxes)
        crops = [(i, box, crop_square(rgb, box, settings.margin, settings.size)) for i, box, rgb in found]
        return crops, counts, known["choice"]
    found = follow_faces(frames, detector(settings.detector), settings.margin, settings.size)
    counts = faces_in(found)
    if len(found) < 2:
        return (found or [[]])[0], counts, ""
    masked = mask and _manipulated(found, mask, sorted(counts))
    return masked or found[0], counts, "mask" if masked else "track"


def _manipulated(found, mask, frames):
    """Return the track that a mask video covers most; None where it covers none or cannot be read."""
    try:
        count = video.frame_count(mask)  # often some frames fewer than the video
        masks = video.stream_frames(mask, [frame for frame in frames if frame < count])
        return tracks.most_covered(found, ((frame, grey[..., 0] > BRIGHT) for frame, grey in masks))
    except ValueError:
        return None


def cut_to_files(folder, path, mask, partner, known, settings):
    """Write the crops of a video to `folder`/FRAME.png, those of its mask video to FRAME.mask.png; return a record.

    mask: path or "". partner: "", or the mask video of another video of the same scene, which tells whom to choose if
    there is no mask. known: as in `cut_video`. settings: params.faces. Record: wanted (the sampled frames), faces (how
    many each has), frames (those with a face of the chosen person) and their boxes, choice (how that person was chosen,
    as in `cut_video`), reused (whether the boxes are those of `known`), mask (whether its crops were written) and
    reason: "", or what went wrong.
    """
    record = {"wanted": [], "faces": [], "frames": [], "boxes": [], "choice": "", "reused": bool(known), "mask": False}
    try:
        wanted = video.equal_interval(video.frame_count(path), settings.frames_per_video).tolist()
        crops, counts, choice = cut_video(path, wanted, settings, mask or partner, known)
    except (ValueError, cv2.error) as error:
        return record | {"reused": False, "reason": _one_line(error, path)}
    frames, boxes = [frame for frame, *_ in crops], [box for _, box, _ in crops]
    record |= {"wanted": wanted, "faces": [counts.get(frame, 0) for frame in wanted], "frames": frames, "boxes": boxes}
    lost = Counter("another face" if counts.get(frame) else "no face" for frame in set(wanted) - set(frames))
    reason = ", ".join(f"{what} in {lost[what]} of {len(wanted)} frames" for what in sorted(lost))
    record |= {"choice": choice, "reason": reason}
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
