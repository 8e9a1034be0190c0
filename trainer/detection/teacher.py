"""Ask a detector that others have trained where the faces are."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.detection.boxes import Annotations, Boxes, compute_corners, compute_iou, make_no_boxes
from worker.errors import ConfigError
from worker.inference.decode import Pixels
from worker.inference.detector import Detection
from worker.paths import format_path

SURE = 0.6
"""From this score on a face counts; YuNet's authors use 0.6 in their examples (OpenCV Zoo)."""

_DOUBTFUL = 0.3
"""From here on there may be a face."""

_SAME = 0.3
"""Overlap from which on two finds at different scales are one face, and of two neighbours at one scale."""

_SCALES = (1.0, 0.5, 2.0)
"""At its own size a picture's faces count first; smaller and larger ones are added from the other two."""

MAX_SIDE = 640
"""The longest side in pixels of the pictures in which faces are looked for and from which they are cut."""

_LARGEST_SIDE = 1280
_TRIED = (64, 64)
"""The size of the picture with which a file is tried: another network is only noticed when it runs."""

_LEAST_PIXELS = 2
_MOST = 5000


class Teacher:
    """YuNet (Wu et al. 2023) as an ONNX file, run by OpenCV."""

    def __init__(self, file: Path) -> None:
        """Load it. Raises ConfigError where it cannot be read or OpenCV takes it for no face detector."""
        cv2.setNumThreads(1)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            # By content: over a name that is not UTF-8 OpenCV crashes.
            self._detector = cv2.FaceDetectorYN.create(
                "onnx",
                np.frombuffer(file.read_bytes(), np.uint8),
                np.zeros(0, np.uint8),
                _TRIED,
                _DOUBTFUL,
                _SAME,
                _MOST,
            )
            self._found(np.zeros((*_TRIED, 3), np.uint8), 1.0)
        except OSError as error:
            raise ConfigError(
                f"{format_path(file)}: cannot be read ({error.strerror}); give YuNet's ONNX file"
            ) from error
        except cv2.error as error:
            raise ConfigError(
                f"{format_path(file)}: is no face detector that OpenCV reads; give YuNet's ONNX file"
            ) from error

    def marks(self, pixels: Pixels) -> Annotations:
        """Find faces in a picture, uint8 (H, W, 3), RGB."""
        faces, doubtful = make_no_boxes(), make_no_boxes()
        for scale in _SCALES:
            if scale > 1 and scale * max(pixels.shape[:2]) > _LARGEST_SIDE:
                continue
            found, scores = self._found(pixels, scale)
            is_new = _find_new(found, faces)
            is_sure = scores >= SURE
            faces = np.concatenate([faces, found[is_new & is_sure]])
            doubtful = np.concatenate([doubtful, found[is_new & ~is_sure]])
        return Annotations(faces, doubtful[_find_new(doubtful, faces)])

    @property
    def max_side(self) -> int:
        """The longest side of the pictures that it is shown where it stands in for a finder."""
        return MAX_SIDE

    def detect(self, pixels: Pixels) -> tuple[Detection, ...]:
        """Find faces as a finder does, the largest first."""
        height, width = pixels.shape[:2]
        corners = compute_corners(self.marks(pixels).faces)
        whole = np.clip(corners.round(), 0, [width, height, width, height]).astype(int).tolist()
        boxes = [Detection(left, top, right, bottom, 1.0) for left, top, right, bottom in whole]
        visible = [box for box in boxes if min(box.right - box.left, box.bottom - box.top) >= _LEAST_PIXELS]
        return tuple(sorted(visible, key=lambda box: -box.side))

    def _found(self, pixels: Pixels, scale: float) -> tuple[Boxes, NDArray[np.float32]]:
        height, width = pixels.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        scaled = pixels if scale == 1 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        self._detector.setInputSize(size)
        _, rows = self._detector.detect(np.ascontiguousarray(scaled[:, :, ::-1]))
        if rows is None:
            return make_no_boxes(), np.zeros(0, np.float32)
        left, top, across, down = rows[:, :4].T / scale
        # FER2013's frames are squares around the middle of YuNet's boxes, as high as these: the median of
        # 668 of 800 frames is 0.95 of the box's height, and their middles are 0.2 and 1.3 % of it apart.
        side = np.maximum(across, down)
        squares = np.stack([left + across / 2, top + down / 2, side], axis=1).astype(np.float32)
        scores: NDArray[np.float32] = rows[:, 14].astype(np.float32)
        return squares, scores


def _find_new(found: Boxes, known: Boxes) -> NDArray[np.bool_]:
    is_known = np.asarray((compute_iou(found, known) > _SAME).any(axis=1), bool)
    return ~is_known
