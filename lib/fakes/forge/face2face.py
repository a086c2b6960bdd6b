"""Face2Face in small: the source's change of expression is measured as a flow and warps the target's face.

Source: Face2Face (Thies et al., 2016), as FaceForensics++ uses it: the target keeps the identity, the source gives
the expression. Theirs fits a 3D face model; ours measures the dense flow between two frames of the source.
"""

import itertools

import cv2
import numpy as np

from lib.fakes.forge import scene

SIZE = 160  # side of the aligned faces, in pixels
REACH = 0.05  # how far the fastest tenth of the region moves, as a share of the side


def expression_mask():
    """Return where an expression shows, float32 (160, 160) in [0, 1]: mouth, eyes and brows."""
    mouth = scene.ellipse(SIZE, (0.5, 0.82), (0.30, 0.22), 0.12)
    eyes = scene.ellipse(SIZE, (0.5, 0.41), (0.38, 0.17), 0.12)
    return np.maximum(mouth, eyes)


def expression_flow(neutral, expressive):
    """Return how the expression moves from one aligned face of a person to another, float32 (160, 160, 2) in pixels.

    Only the part that both halves of the face share is kept: a smile is symmetric, a turn of the head is not.
    """
    mask = expression_mask()[..., None]
    expressive = scene.match_colour(expressive, neutral, mask[..., 0])
    images = [np.uint8(np.clip(image, 0, 1) * 255) for image in (neutral, expressive)]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*images, None)
    flow = cv2.GaussianBlur(flow, None, SIZE * 0.025)
    return mask * (flow + flow[:, ::-1] * np.float32([-1, 1])) / 2


def driving_pair(faces):
    """Return those two of a person's Faces between which the flow of the expression explains the largest change."""
    mask = expression_mask()

    def explained(pair):
        neutral, expressive = (face.aligned(SIZE) for face in pair)
        expressive = scene.match_colour(expressive, neutral, mask)
        moved = carry_over(neutral, expression_flow(neutral, expressive))
        return (mask * (np.abs(neutral - expressive) - np.abs(moved - expressive))).sum()

    return max(itertools.permutations(faces, 2), key=explained)


def carry_over(aligned, flow):
    """Return an aligned face warped by a flow, float32 (160, 160): it moves as the source's face did."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    return cv2.remap(aligned, x - flow[..., 0], y - flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def amplify(flow):
    """Scale a flow, by 3 at most, so that the fastest tenth of the region moves by REACH of the side."""
    strength = np.percentile(np.linalg.norm(flow, axis=2)[expression_mask() > 0.5], 90)
    return flow * min(3, REACH * SIZE / strength)


def forge(targets, sources):
    """Forge the target's Faces with an expression of the source, forwards and backwards by turns.

    Returns scenes and masks as in `make.forge`.
    """
    flow = amplify(expression_flow(*(face.aligned(SIZE) for face in driving_pair(sources))))
    bent = [carry_over(face.aligned(SIZE), flow * (-1) ** index) for index, face in enumerate(targets)]
    return scene.paste_all(targets, bent, expression_mask())
