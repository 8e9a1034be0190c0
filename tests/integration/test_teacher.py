"""The teacher: what files it takes, and what it makes of what OpenCV's detector detects.

Its network is not a part of this project: a detector of drawn blobs stands in for it.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from scipy import ndimage

from trainer.detection.teacher import Teacher
from worker.errors import ConfigError
from worker.inference.decode import Pixels
from worker.inference.detector import Detection


class BlobDetector:
    """Detects blobs of full red that are 12 to 60 pixels high; their green is the score."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 (OpenCV's name)
        self.sizes.append(size)

    def detect(self, pixels: Pixels) -> tuple[int, NDArray[np.float32] | None]:
        assert pixels.shape[1::-1] == self.sizes[-1]
        numbers, _ = ndimage.label(pixels[..., 2] > 200)
        rows = []
        for y, x in ndimage.find_objects(numbers):
            width, height = x.stop - x.start, y.stop - y.start
            centre = pixels[(y.start + y.stop) // 2, (x.start + x.stop) // 2]
            if 12 <= height <= 60:
                rows.append([x.start, y.start, width, height, *[0] * 10, centre[1] / 255])
        return len(rows), np.array(rows, np.float32) if rows else None


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> BlobDetector:
    detector = BlobDetector()
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *arguments: detector)
    return detector


@pytest.fixture
def teacher(detector: BlobDetector, tmp_path: Path) -> Teacher:
    (tmp_path / "teacher.onnx").write_bytes(b"any")
    return Teacher(tmp_path / "teacher.onnx")


def draw_photo(*blobs: tuple[int, int, int, int, float], size: tuple[int, int] = (400, 300)) -> Pixels:
    """Draw blobs by left, top, width, height and score."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for left, top, width, height, score in blobs:
        pixels[top : top + height, left : left + width] = 255, round(255 * score), 0
    return pixels


def test_a_face_is_the_square_around_the_middle_of_its_box(teacher):
    annotations = teacher.annotate(draw_photo((100, 60, 24, 40, 0.9)))
    assert annotations.faces.tolist() == [[112, 80, 40]]
    assert not len(annotations.ignore_regions)
    assert annotations.faces.dtype == np.float32


def test_a_detection_of_a_lower_score_is_an_ignore_region(teacher):
    annotations = teacher.annotate(draw_photo((100, 60, 40, 40, 0.7), (200, 60, 40, 40, 0.5)))
    assert annotations.faces.tolist() == [[120, 80, 40]]
    assert {tuple(row) for row in annotations.ignore_regions.tolist()} == {(220, 80, 40)}


def test_faces_too_large_and_too_small_at_one_scale_are_detected_at_another(teacher):
    annotations = teacher.annotate(
        draw_photo((20, 20, 100, 100, 0.9), (200, 100, 8, 8, 0.9), (300, 100, 30, 30, 0.9))
    )
    assert sorted(map(tuple, annotations.faces.round().tolist())) == [
        (70, 70, 100),
        (204, 104, 8),
        (315, 115, 30),
    ]


def test_a_picture_is_searched_at_three_scales_and_a_large_one_is_not_enlarged(detector, teacher):
    detector.sizes.clear()
    teacher.annotate(draw_photo())
    teacher.annotate(draw_photo(size=(960, 20)))
    assert detector.sizes == [(400, 300), (200, 150), (800, 600), (960, 20), (480, 10)]


def test_it_detects_faces_as_a_trained_detector_does_the_largest_first_and_within_the_picture(teacher):
    detections = teacher.detect(
        draw_photo((100, 60, 30, 30, 0.9), (0, 200, 20, 50, 0.9), (300, 60, 40, 40, 0.4))
    )
    assert detections == (Detection(0, 200, 35, 250, 1.0), Detection(100, 60, 130, 90, 1.0))
    assert teacher.detect(draw_photo()) == ()


# Files that are no face detector.


def make_nothing(path: Path) -> None:
    pass


def make_folder(path: Path) -> None:
    path.mkdir()


def make_empty(path: Path) -> None:
    path.touch()


def make_text(path: Path) -> None:
    path.write_text("no network")


def make_another_network(path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 32, 32]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), path)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (make_nothing, r"cannot be read \(No such file or directory\)"),
        (make_folder, r"cannot be read \(Is a directory\)"),
        (make_empty, "is no face detector that OpenCV reads"),
        (make_text, "is no face detector that OpenCV reads"),
        (make_another_network, "is no face detector that OpenCV reads"),
    ],
)
def test_a_file_that_is_no_face_detector_is_refused_by_one_line_and_nothing_else(
    make: Callable[[Path], None], cause: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "teacher.onnx")
    with pytest.raises(ConfigError, match=rf"teacher.onnx: {cause}; give YuNet's ONNX file$") as refused:
        Teacher(tmp_path / "teacher.onnx")
    assert "\n" not in str(refused.value)
    assert refused.value.exit_status == 2
    assert capfd.readouterr() == ("", "")


def test_a_name_that_is_not_utf8_is_reported_and_does_not_end_the_process(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xfcr.onnx"))
    make_text(path)
    with pytest.raises(ConfigError, match=r"f\\xfcr.onnx: is no face detector"):
        Teacher(path)
