"""Photographs as scenes of a video, faces in a common frame, and the steps that every forgery shares."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from lib.data.face_detectors import detector
from lib.fakes import orl

WIDTH, HEIGHT = 240, 256  # of a scene, in pixels
TEMPLATE = np.float32([[0.342, 0.462], [0.656, 0.460], [0.500, 0.641], [0.371, 0.825], [0.631, 0.823]])
"""Eyes, nose and mouth corners in the aligned face, as a share of its side (the template of ArcFace)."""


@dataclass(frozen=True)
class Face:
    """One photograph: `scene` float32 (HEIGHT, WIDTH) in [0, 1], `landmarks` float32 (5, 2) in its pixels (x, y)."""

    scene: np.ndarray
    landmarks: np.ndarray

    def align(self, size):
        """Return the 2x3 matrix that takes the scene to an aligned face of `size` pixels: see `similarity`."""
        return similarity(self.landmarks, TEMPLATE * size)

    def aligned(self, size):
        """Return the face in the common frame, float32 (size, size)."""
        return warp(self.scene, self.align(size), (size, size))


@cache
def faces_of(person):
    """Return the ten Faces of one person ("000" .. "039"): the ORL photographs with the face detector's landmarks."""
    find, faces = detector("mtcnn"), []
    for path in [path for name, _, path in orl.orl_photographs() if name == person]:
        scene = enlarge(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        _, scores, landmarks = find.detect(np.repeat(scene[..., None], 3, axis=2))
        if not len(scores):
            raise RuntimeError(f"{path}: no face found; every photograph needs its landmarks")
        faces.append(Face(np.float32(scene) / 255, np.float32(landmarks[np.argmax(scores)])))
    return faces


def enlarge(photograph):
    """Return a grey uint8 photograph as a scene: twice as large, with a border that leaves room for a x1.3 crop.

    The border mirrors the photograph and blurs it outwards, as broadcasters fill the sides of upright videos.
    """
    scene = cv2.resize(photograph, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    top, left = (HEIGHT - scene.shape[0]) // 2, (WIDTH - scene.shape[1]) // 2
    outside = cv2.copyMakeBorder(np.zeros_like(scene), top, top, left, left, cv2.BORDER_CONSTANT, value=1)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    mirrored = cv2.copyMakeBorder(scene, top, top, left, left, cv2.BORDER_REFLECT_101)
    blurred = cv2.GaussianBlur(mirrored, None, 8)
    return np.uint8(np.rint(mirrored + np.clip(away / 8, 0, 1) * (blurred - np.float32(mirrored))))


def warp(image, matrix, size, inverse=False):
    """Resample an image by a 2x3 matrix to size (width, height), bicubic with mirrored borders.

    inverse: the matrix leads from the result to the image (to bring an aligned face back into its scene).
    """
    flags = cv2.INTER_CUBIC | (cv2.WARP_INVERSE_MAP if inverse else 0)
    return cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def similarity(points, targets):
    """Return the 2x3 rotation, scale and shift that takes points (n, 2) nearest to targets (n, 2), least squares."""
    x, y = np.float64(points).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = np.block([[x, y], [-y, x], [one, zero], [zero, one]]).T
    a, b, shift_x, shift_y = np.linalg.lstsq(rows, np.float64(targets).T.ravel(), rcond=None)[0]
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def most_similar(face, others):
    """Return the one of `others` whose pose is nearest to that of `face`: the landmarks in the common frame."""
    pose = lambda face: cv2.transform(face.landmarks[None], face.align(1))[0]
    return min(others, key=lambda other: np.linalg.norm(pose(face) - pose(other)))


def ellipse(size, centre, axes, feather):
    """Return a float32 (size, size) mask in [0, 1]: an ellipse with soft edges. All lengths are shares of `size`."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    distance = np.hypot((x - centre[0]) / axes[0], (y - centre[1]) / axes[1])
    return np.float32(np.clip((1 - distance) * min(axes) / feather + 0.5, 0, 1))


def face_mask(size, feather=0.08):
    """Return the soft mask of the inner face in the common frame; feather: width of its edge, a share of `size`."""
    return ellipse(size, (0.5, 0.56), (0.37, 0.41), feather)


def moments(image, mask):
    """Return mean and standard deviation of an image under a mask in [0, 1] of its shape."""
    weights = mask / mask.sum()
    mean = (weights * image).sum()
    return mean, np.sqrt((weights * (image - mean) ** 2).sum())


def match_colour(image, reference, mask):
    """Give `image` the mean and the standard deviation that `reference` has under `mask` (all of one shape)."""
    (mean, spread), (wanted_mean, wanted_spread) = moments(image, mask), moments(reference, mask)
    return (image - mean) * (wanted_spread / max(spread, 1e-6)) + wanted_mean


def in_scene(face, mask):
    """Return a mask of the common frame, float32 (size, size), where it lies in the scene of `face`: (H, W)."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask, face.align(len(mask)), (WIDTH, HEIGHT), flags=flags)


def blend(face, forged, mask):
    """Return the scene of `face` with a forged one in its place where the mask (H, W) in [0, 1] says so."""
    return np.clip(face.scene + mask * (forged - face.scene), 0, 1)


def paste_all(faces, aligned, mask):
    """Blend aligned forgeries, (size, size) each, back into the scenes of their faces.

    mask: float32 (size, size) in [0, 1]. Returns the forged scenes and the masks in them, both float32 (n, H, W).
    """
    forged, masks = [], [in_scene(face, mask) for face in faces]
    for face, image, soft in zip(faces, aligned, masks, strict=True):
        image = warp(np.float32(image), face.align(len(mask)), (WIDTH, HEIGHT), inverse=True)
        forged.append(blend(face, image, soft))
    return np.stack(forged), np.stack(masks)
