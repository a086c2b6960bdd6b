"""FaceSwap in small: the source's face is laid over the target's, landmark on landmark, recoloured and blended.

Source: FaceSwap (Kowalski), as FaceForensics++ (Roessler et al., 2019, section 3) uses it: graphics, nothing learned.
"""

import numpy as np

from lib.fakes.forge import scene

FEATHER = 0.03  # width of the mask's edge: like the original program, and unlike learned forgeries, it leaves a seam


def lay_over(face, source):
    """Return the scene of `source`, float32 (H, W), moved (affine) so that its landmarks lie on those of `face`."""
    points = np.column_stack([np.float64(source.landmarks), np.ones(len(source.landmarks))])
    matrix = np.linalg.lstsq(points, np.float64(face.landmarks), rcond=None)[0].T
    return scene.warp(source.scene, matrix, (scene.WIDTH, scene.HEIGHT))


def mask_in_scene(face):
    """Return the soft mask of the inner face where it lies in the scene, float32 (H, W)."""
    return scene.in_scene(face, scene.face_mask(256, FEATHER))


def forge(targets, sources):
    """Forge the target's Faces with the faces of the source's most similar poses: scenes, masks as in `make.forge`."""
    masks = [mask_in_scene(face) for face in targets]
    forged = []
    for face, mask in zip(targets, masks, strict=True):
        laid = lay_over(face, scene.most_similar(face, sources))
        forged.append(scene.blend(face, scene.match_colour(laid, face.scene, mask), mask))
    return np.stack(forged), np.stack(masks)
