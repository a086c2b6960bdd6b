"""The detectors of faces: where a face is, and what is said where a detector is not installed."""

import sys
import types

import cv2
import numpy as np
import pytest

from lib.data import face_detectors


def test_mtcnn_finds_the_face_where_it_is_with_its_five_landmarks(scene):
    boxes, scores, landmarks = face_detectors.detector("mtcnn").detect(scene(left=60))
    assert boxes.shape == (1, 4) and scores.shape == (1,) and landmarks.shape == (1, 5, 2)
    x1, y1, x2, y2 = boxes[0]
    assert 60 <= x1 < x2 <= 244 and 20 <= y1 < y2 <= 244 and scores[0] >= 0.95
    left_eye, right_eye, nose, *mouth = landmarks[0]
    assert left_eye[0] < nose[0] < right_eye[0] and left_eye[1] < nose[1] < mouth[0][1]


@pytest.mark.parametrize("factor", [0.4, 4])
def test_a_face_in_a_tiny_and_in_a_large_frame_is_found_at_the_same_place(factor, scene):
    reference = face_detectors.detector("mtcnn").detect(scene())[0][0]
    resized = cv2.resize(scene(), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    boxes, _, _ = face_detectors.detector("mtcnn").detect(resized)
    assert np.abs(boxes[0] / factor - reference).max() < 15


def test_a_frame_without_a_face_gives_empty_arrays():
    boxes, scores, landmarks = face_detectors.detector("mtcnn").detect(np.full((100, 120, 3), 90, np.uint8))
    assert boxes.shape == (0, 4) and scores.shape == (0,) and landmarks.shape == (0, 5, 2)


def test_dsfd_that_is_not_installed_is_one_line_that_says_what_to_do(monkeypatch):
    face_detectors._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "face_detection", None)
    with pytest.raises(RuntimeError, match="pip install face-detection.*mtcnn") as error:
        face_detectors.detector("dsfd")
    assert "\n" not in str(error.value)


def test_dsfd_is_used_where_it_is_installed(monkeypatch, scene):
    class Net:
        def detect(self, rgb):
            return np.array([[1, 2, 30, 40, 0.9]], np.float32)

    asked = {}
    stand_in = types.ModuleType("face_detection")
    stand_in.build_detector = lambda name, **settings: asked.update(settings, name=name) or Net()
    monkeypatch.setitem(sys.modules, "face_detection", stand_in)
    boxes, scores, landmarks = face_detectors.detector("dsfd").detect(scene())
    assert boxes.tolist() == [[1, 2, 30, 40]] and scores[0] == pytest.approx(0.9) and landmarks is None
    assert asked == {"name": "DSFDDetector", "confidence_threshold": 0.5, "nms_iou_threshold": 0.3}
