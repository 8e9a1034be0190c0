"""The teacher: a face detector that others have trained, which annotates the photos to learn from."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.detection.boxes import Annotations, Boxes, compute_corners, compute_iou, make_no_boxes
from worker.errors import ConfigError
from worker.inference.decode import Pixels
from worker.inference.detector import Detection
from worker.paths import format_path

_FACE_THRESHOLD = 0.6
"""From this score a detection is a face; YuNet's authors use 0.6 in their examples (OpenCV Zoo)."""

_IGNORE_THRESHOLD = 0.3
"""From this score it is an ignore region."""

_MAX_IOU = 0.3
"""Above this IoU two detections are one face, at one scale (NMS) or at different ones."""

_SCALES = (1.0, 0.5, 2.0)
"""The detections at a picture's own size come first; the other two add smaller and larger faces."""

MAX_SIDE = 640
"""The longest side in pixels of the pictures in which faces are detected and from which they are cropped."""

_MAX_SCALED_SIDE = 1280
_TRIAL_SIZE = (64, 64)
"""Of the picture with which a file is tried: that it is another network shows only when it runs."""

_MIN_PIXELS = 2
_MAX_DETECTIONS = 5000


class Teacher:
    """YuNet (Wu et al. 2023) as an ONNX file, run by OpenCV."""

    def __init__(self, file: Path) -> None:
        """Load it. Raises ConfigError where it cannot be read, or is no face detector to OpenCV."""
        # Faces are cropped by several threads with a teacher each: OpenCV's own would only compete with them.
        cv2.setNumThreads(1)
        # What OpenCV logs of a wrong file, the error below says in one line.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            # By content: OpenCV crashes on a name that is not UTF-8.
            self._detector = cv2.FaceDetectorYN.create(
                "onnx",
                np.frombuffer(file.read_bytes(), np.uint8),
                np.zeros(0, np.uint8),
                _TRIAL_SIZE,
                _IGNORE_THRESHOLD,
                _MAX_IOU,
                _MAX_DETECTIONS,
            )
            self._detect_at(1.0, np.zeros((*_TRIAL_SIZE, 3), np.uint8))
        except OSError as error:
            raise ConfigError(
                f"{format_path(file)}: cannot be read ({error.strerror}); give YuNet's ONNX file"
            ) from error
        except cv2.error as error:
            raise ConfigError(
                f"{format_path(file)}: is no face detector that OpenCV reads; give YuNet's ONNX file"
            ) from error

    def annotate(self, pixels: Pixels) -> Annotations:
        """Detect faces, and regions where there may be one, in a picture, uint8 (H, W, 3), RGB."""
        faces, ignore_regions = make_no_boxes(), make_no_boxes()
        for scale in _SCALES:
            if scale > 1 and scale * max(pixels.shape[:2]) > _MAX_SCALED_SIDE:
                continue
            boxes, scores = self._detect_at(scale, pixels)
            is_new = _find_new(boxes, faces)
            is_face = scores >= _FACE_THRESHOLD
            faces = np.concatenate([faces, boxes[is_new & is_face]])
            ignore_regions = np.concatenate([ignore_regions, boxes[is_new & ~is_face]])
        # Once more: what is doubtful at one scale may be a face at the next.
        return Annotations(faces, ignore_regions[_find_new(ignore_regions, faces)])

    @property
    def max_side(self) -> int:
        """The longest side of the pictures that it reads where it stands in for a trained detector."""
        return MAX_SIDE

    def detect(self, pixels: Pixels) -> tuple[Detection, ...]:
        """Detect faces in a picture, uint8 (H, W, 3), as a trained detector does, the largest first."""
        height, width = pixels.shape[:2]
        corners = compute_corners(self.annotate(pixels).faces)
        rows = np.clip(corners.round(), 0, [width, height, width, height]).astype(int).tolist()
        detections = [Detection(left, top, right, bottom, 1.0) for left, top, right, bottom in rows]
        visible = [detection for detection in detections if _is_visible(detection)]
        return tuple(sorted(visible, key=lambda detection: -detection.side))

    def _detect_at(self, scale: float, pixels: Pixels) -> tuple[Boxes, NDArray[np.float32]]:
        """Return boxes (N, 3), in pixels of the picture itself, and scores (N,)."""
        height, width = pixels.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        scaled = pixels if scale == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        self._detector.setInputSize(size)
        # OpenCV's networks take BGR.
        _, rows = self._detector.detect(np.ascontiguousarray(scaled[:, :, ::-1]))
        if rows is None:
            return make_no_boxes(), np.zeros(0, np.float32)
        left, top, box_width, box_height = rows[:, :4].T / scale
        # FER2013's frames are squares around the middle of YuNet's boxes, as high as these: the median of
        # 668 of 800 frames is 0.95 of the box's height, and their middles are 0.2 and 1.3 % of it apart.
        side = np.maximum(box_width, box_height)
        boxes = np.stack([left + box_width / 2, top + box_height / 2, side], axis=1).astype(np.float32)
        scores: NDArray[np.float32] = rows[:, 14].astype(np.float32)
        return boxes, scores


def _find_new(boxes: Boxes, known: Boxes) -> NDArray[np.bool_]:
    """Return which boxes overlap with none of those that are known: bool (N,)."""
    is_known = np.asarray((compute_iou(boxes, known) > _MAX_IOU).any(axis=1), bool)
    return ~is_known


def _is_visible(detection: Detection) -> bool:
    return min(detection.right - detection.left, detection.bottom - detection.top) >= _MIN_PIXELS
