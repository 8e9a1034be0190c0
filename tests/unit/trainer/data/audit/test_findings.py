import numpy as np
import pytest

from tests.unit.trainer.measured import DATA, picture
from trainer.data.audit.examination import Examination, Examined, measured_sharpness
from trainer.data.audit.findings import Finding, Judged, Kind, groups_of, judge
from trainer.data.audit.label_issues import Doubt, Doubts
from trainer.data.class_folders import ClassFile, Part
from trainer.data.dataset import Unread
from trainer.data.splits import leakages
from worker.errors import Reason


def many(label: str, count: int = 4) -> list[Examined]:
    start = 1000 * (1 + sum(label.encode()))
    return [picture(f"{label}{number}", label, drawing=start + number) for number in range(count)]


def judged(*pictures: Examined, unread: tuple[Unread, ...] = (), doubts: Doubts | None = None) -> Judged:
    examination = Examination(("happy", "sad"), pictures, unread)
    return judge(examination, groups_of(pictures), doubts)


def kinds(*pictures: Examined) -> list[Kind]:
    return [finding.kind for finding in judged(*pictures).findings]


def test_different_sharp_bright_pictures_of_even_classes_have_nothing_wrong():
    assert kinds(*many("happy"), *many("sad")) == []


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (picture("b", "happy", drawing=1, sha256="a"), Kind.EXACT_DUPLICATE),
        (picture("b", "sad", drawing=1, sha256="a"), Kind.TWO_CLASSES),
        (picture("b", "happy", drawing=1), Kind.NEAR_DUPLICATE),
        (picture("b", "sad", drawing=1), Kind.NEAR_TWO_CLASSES),
        (picture("b", "happy", drawing=1, sha256="a", part=Part.TEST), Kind.ACROSS_PARTS),
        (picture("b", "happy", drawing=1, part=Part.TEST), Kind.NEAR_ACROSS_PARTS),
    ],
)
def test_twins_are_named_by_what_is_worst_about_them(second, kind):
    first = picture("a", drawing=1)

    (finding,) = judged(first, second, *many("happy"), *many("sad")).findings

    assert finding.kind is kind
    assert finding.paths == (first.file.path, second.file.path)


def test_only_the_same_bytes_are_beyond_doubt_and_likeness_is_not():
    certain = {kind for kind in Kind if Finding(kind, (), "").is_certain}

    assert certain >= {Kind.UNREADABLE, Kind.EXACT_DUPLICATE, Kind.TWO_CLASSES, Kind.ACROSS_PARTS}
    assert not certain & {Kind.NEAR_DUPLICATE, Kind.NEAR_TWO_CLASSES, Kind.WRONG_LABEL, Kind.BLURRED}


@pytest.mark.parametrize(
    ("poor", "kind"),
    [
        (picture("p", size=(400, 31)), Kind.TINY),
        (picture("p", brightest=0.2), Kind.DARK),
        (picture("p", sharpness=0.01), Kind.BLURRED),
    ],
)
def test_a_poor_picture_is_named_once_by_what_is_worst_about_it(poor, kind):
    assert kinds(poor, *many("happy"), *many("sad")) == [kind]


def test_a_rare_class_and_one_too_small_are_told_apart():
    assert kinds(*many("happy", 40), *many("sad", 9)) == [Kind.RARE_CLASS]
    assert kinds(*many("happy", 40), *many("sad", 10)) == []
    assert kinds(*many("happy", 40), *many("sad", 2)) == [Kind.FEW_PICTURES]


def test_a_class_without_any_readable_picture_is_found():
    assert kinds(*many("happy")) == [Kind.FEW_PICTURES]
    assert kinds() == [Kind.FEW_PICTURES, Kind.FEW_PICTURES]


def test_the_gravest_findings_come_first():
    torn = Unread(ClassFile(DATA / "sad" / "torn", DATA, "sad", None), Reason.DAMAGED, "cut off")
    doubts = Doubts((Doubt(0, likely=1, probability=0.9),), recall=0.8)

    found = judged(*many("happy"), *many("sad"), picture("dark", brightest=0), unread=(torn,), doubts=doubts)

    assert [finding.kind for finding in found.findings] == [Kind.UNREADABLE, Kind.WRONG_LABEL, Kind.DARK]
    assert "filed as happy, looks like sad (90%)" in found.findings[1].detail
    assert "80%" in found.notes[0]


def test_leakage_is_the_share_of_a_part_with_a_twin_in_training():
    parts = [Part.TRAINING, Part.TRAINING, Part.TEST, Part.TEST, Part.TEST, Part.VALIDATION]
    groups = np.array([0, 1, 1, 2, 3, 2])

    valid, test = leakages(parts, groups)

    assert (valid.part, valid.leaked, valid.share) == (Part.VALIDATION, 0, 0.0)
    assert (test.part, test.leaked, test.pictures) == (Part.TEST, 1, 3)
    assert str(test) == "1 of 3 pictures in test/ (33.3%) have a near-twin in train/"


def test_sharpness_falls_with_blur_and_not_with_contrast():
    sharp = np.random.default_rng(0).normal(128, 20, (64, 64)).astype(np.float32)
    blurred = sum(np.roll(sharp, (x, y), (0, 1)) for x in range(5) for y in range(5)) / 25

    assert measured_sharpness(sharp) > 10 * measured_sharpness(blurred)
    assert measured_sharpness(0.1 * sharp) == pytest.approx(measured_sharpness(sharp), rel=1e-3)
    assert measured_sharpness(np.zeros((64, 64), np.float32)) == 0
    assert measured_sharpness(np.zeros((1, 64), np.float32)) == 0
