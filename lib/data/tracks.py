"""Who is who in a video: the faces of its sampled frames, linked into tracks, and which of them was manipulated.

A face is (frame index, box, ...), its box x1, y1, x2, y2 in pixels; a track is the list of the faces of one person.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

REACH = 1.5  # how far a face may move between two sampled frames: from centre to centre, in sides of the larger box


def link(frames):
    """Return the tracks in the faces of each frame, [[face]]: the longest first, of equally long ones the largest.

    A frame's faces continue the tracks that they overlap most with, by intersection over union, else the nearest within
    REACH; all faces are assigned at once, by the Hungarian method. If a frame and the one before it have one face each,
    it is the same face however far it moved: a video of one face is one track.
    """
    tracks, before = [], []
    for faces in filter(None, frames):
        apart = _apart([track[-1][1] for track in tracks], [face[1] for face in faces])
        near = apart <= 1 + REACH
        pairs = zip(*linear_sum_assignment(np.where(near, apart, 1e6)), strict=True)
        owner = {int(face): int(track) for track, face in pairs if near[track, face]}
        if not owner and len(faces) == len(before) == 1:
            owner = {0: before[0]}
        before = []
        for place, face in enumerate(faces):
            if place not in owner:
                owner[place] = len(tracks)
                tracks.append([])
            tracks[owner[place]].append(face)
            before.append(owner[place])
    area = lambda track: sum((x2 - x1) * (y2 - y1) for _, (x1, y1, x2, y2), *_ in track)
    return sorted(tracks, key=lambda track: (-len(track), -area(track), track[0][:2]))


def most_covered(tracks, masks):
    """Return the track that overlaps most with the bright area of mask frames, or None where none overlaps.

    masks: (frame index, bool (H, W), True where the frame was manipulated). The overlap of a track is its boxes'
    intersection over union with the bright area, summed over the frames, so that a large face beside it gains nothing.
    """
    boxes, overlap = [{frame: box for frame, box, *_ in track} for track in tracks], np.zeros(len(tracks))
    for frame, bright in masks:
        for place, known in enumerate(boxes):
            if frame in known:
                x1, y1, x2, y2 = (max(round(corner), 0) for corner in known[frame])
                inside = bright[y1:y2, x1:x2].sum()
                overlap[place] += inside / max((x2 - x1) * (y2 - y1) + bright.sum() - inside, 1)
    return tracks[overlap.argmax()] if overlap.any() else None


def _apart(boxes, others):
    """Return (n, m) of n and m boxes: 1 - intersection over union where two overlap, else 1 + their distance."""
    one, other = np.reshape(boxes, (-1, 1, 2, 2)).astype(float), np.reshape(others, (1, -1, 2, 2)).astype(float)
    sides = one[..., 1, :] - one[..., 0, :], other[..., 1, :] - other[..., 0, :]
    corners = np.maximum(one[..., 0, :], other[..., 0, :]), np.minimum(one[..., 1, :], other[..., 1, :])
    shared = np.clip(corners[1] - corners[0], 0, None).prod(-1)
    union = sides[0].prod(-1) + sides[1].prod(-1) - shared
    distance = np.linalg.norm(one.mean(-2) - other.mean(-2), axis=-1) / np.maximum(*sides).max(-1)
    return np.where(shared > 0, 1 - shared / union, 1 + distance)
