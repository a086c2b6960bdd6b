"""FaceSwap in small: the source's face is laid over the target's, landmark on landmark, recoloured and blended.

Source: FaceSwap (Kowalski), as FaceForensics++ (Roessler et al., 2019, section 3) uses it: graphics, nothing learned.
"""

import cv2
import numpy as np

from lib.fakes.forge import scene

FEATHER = 0.03  # of the mask's edge: like its model, and unlike the learned forgeries, it leaves a seam


def lay_over(face, source):
    """Return the scene of `source`, float32 (H, W), moved so that its landmarks lie on those of `face` (affine)."""
    return scene.warp(source.scene, scene.affine(source.landmarks, face.landmarks), (scene.WIDTH, scene.HEIGHT))


def mask_in_scene(face):
    """Return the soft mask of the inner face where it lies in the scene, float32 (H, W)."""
    mask = scene.face_mask(256, FEATHER)
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask, face.align(256), (scene.WIDTH, scene.HEIGHT), flags=flags)


def forge(targets, sources):
    """Forge the target's Faces with the faces of the source's most similar poses.

    Returns scenes float32 (n, H, W) and the masks of what was changed, alike.
    """
    forged, masks = [], []
    for face in targets:
        laid = lay_over(face, scene.most_similar(face, sources))
        mask = mask_in_scene(face)
        recoloured = scene.match_colour(laid, face.scene, mask)
        forged.append(np.clip(face.scene + mask * (recoloured - face.scene), 0, 1))
        masks.append(mask)
    return np.stack(forged), np.stack(masks)
