import numpy as np
import pytest

from tests.unit.trainer.examined_images import DATA, make_picture
from trainer.data.audit.examination import Examination, ExaminedImage, measure_sharpness
from trainer.data.audit.findings import AuditFinding, AuditReport, FindingKind, collect_findings
from trainer.data.audit.label_issues import LabelIssue, LabelIssues
from trainer.data.class_folders import ClassFile, Split
from trainer.data.images import UnreadableFile
from trainer.data.near_duplicates import group_images
from trainer.data.splits import measure_leakage
from worker.errors import Reason


def make_pictures(label: str, count: int = 4) -> list[ExaminedImage]:
    start = 1000 * (1 + sum(label.encode()))
    return [make_picture(f"{label}{number}", label, drawing=start + number) for number in range(count)]


def make_report(
    *pictures: ExaminedImage,
    unreadable: tuple[UnreadableFile, ...] = (),
    label_issues: LabelIssues | None = None,
) -> AuditReport:
    examination = Examination(("happy", "sad"), pictures, unreadable)
    return collect_findings(examination, group_images(pictures), label_issues)


def list_kinds(*pictures: ExaminedImage) -> list[FindingKind]:
    return [finding.kind for finding in make_report(*pictures).findings]


def test_different_sharp_bright_pictures_of_even_classes_have_nothing_wrong():
    assert list_kinds(*make_pictures("happy"), *make_pictures("sad")) == []


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (make_picture("b", "happy", drawing=1, sha256="a"), FindingKind.EXACT_DUPLICATE),
        (make_picture("b", "sad", drawing=1, sha256="a"), FindingKind.TWO_CLASSES),
        (make_picture("b", "happy", drawing=1), FindingKind.NEAR_DUPLICATE),
        (make_picture("b", "sad", drawing=1), FindingKind.NEAR_TWO_CLASSES),
        (
            make_picture("b", "happy", drawing=1, sha256="a", split=Split.TEST),
            FindingKind.ACROSS_SPLITS,
        ),
        (make_picture("b", "happy", drawing=1, split=Split.TEST), FindingKind.NEAR_ACROSS_SPLITS),
    ],
)
def test_duplicates_are_named_by_what_is_worst_about_them(second, kind):
    first = make_picture("a", drawing=1)

    (finding,) = make_report(first, second, *make_pictures("happy"), *make_pictures("sad")).findings

    assert finding.kind is kind
    assert finding.paths == (first.file.path, second.file.path)


def test_only_the_same_bytes_are_beyond_doubt_and_likeness_is_not():
    certain = {kind for kind in FindingKind if AuditFinding(kind, (), "").is_certain}

    assert certain >= {
        FindingKind.UNREADABLE,
        FindingKind.EXACT_DUPLICATE,
        FindingKind.TWO_CLASSES,
        FindingKind.ACROSS_SPLITS,
    }
    assert not certain & {
        FindingKind.NEAR_DUPLICATE,
        FindingKind.NEAR_TWO_CLASSES,
        FindingKind.WRONG_LABEL,
        FindingKind.BLURRED,
    }


@pytest.mark.parametrize(
    ("kind", "moved", "is_unresolved"),
    [
        (FindingKind.UNREADABLE, 1, True),
        (FindingKind.UNREADABLE, 2, False),
        (FindingKind.EXACT_DUPLICATE, 0, True),
        (FindingKind.EXACT_DUPLICATE, 1, False),
        (FindingKind.FEW_PICTURES, 2, True),
        (FindingKind.NEAR_DUPLICATE, 0, False),
    ],
)
def test_moving_files_resolves_what_is_beyond_doubt_about_them(kind, moved, is_unresolved):
    paths = (DATA / "a", DATA / "b")

    assert AuditFinding(kind, paths, "").is_unresolved(set(paths[:moved])) is is_unresolved


@pytest.mark.parametrize(
    ("poor", "kind"),
    [
        (make_picture("p", size=(400, 31)), FindingKind.TINY),
        (make_picture("p", brightest=0.2), FindingKind.DARK),
        (make_picture("p", sharpness=0.01), FindingKind.BLURRED),
    ],
)
def test_a_poor_picture_is_named_once_by_what_is_worst_about_it(poor, kind):
    assert list_kinds(poor, *make_pictures("happy"), *make_pictures("sad")) == [kind]


def test_a_rare_class_and_one_too_small_are_distinguished():
    happy = make_pictures("happy", 40)

    assert list_kinds(*happy, *make_pictures("sad", 9)) == [FindingKind.RARE_CLASS]
    assert list_kinds(*happy, *make_pictures("sad", 10)) == []
    assert list_kinds(*happy, *make_pictures("sad", 2)) == [FindingKind.FEW_PICTURES]


def test_a_class_without_any_readable_picture_is_found():
    assert list_kinds(*make_pictures("happy")) == [FindingKind.FEW_PICTURES]
    assert list_kinds() == [FindingKind.FEW_PICTURES, FindingKind.FEW_PICTURES]


def test_the_gravest_findings_come_first():
    torn = UnreadableFile(ClassFile(DATA / "sad" / "torn", DATA, "sad", None), Reason.DAMAGED, "cut off")
    label_issues = LabelIssues((LabelIssue(0, likely=1, probability=0.9),), recall=0.8)

    report = make_report(
        *make_pictures("happy"),
        *make_pictures("sad"),
        make_picture("dark", brightest=0),
        unreadable=(torn,),
        label_issues=label_issues,
    )

    assert [finding.kind for finding in report.findings] == [
        FindingKind.UNREADABLE,
        FindingKind.WRONG_LABEL,
        FindingKind.DARK,
    ]
    assert "filed as happy, looks like sad (90%)" in report.findings[1].detail
    assert "80%" in report.notes[0]


def test_leakage_is_the_share_of_a_split_with_a_near_duplicate_in_training():
    splits = [Split.TRAIN, Split.TRAIN, Split.TEST, Split.TEST, Split.TEST, Split.VALID]
    groups = np.array([0, 1, 1, 2, 3, 2])

    valid, test = measure_leakage(splits, groups)

    assert (valid.split, valid.leaked, valid.share) == (Split.VALID, 0, 0.0)
    assert (test.split, test.leaked, test.pictures) == (Split.TEST, 1, 3)
    assert str(test) == "1 of 3 pictures in test/ (33.3%) have a near-duplicate in train/"


def test_sharpness_falls_with_blur_and_not_with_contrast():
    sharp = np.random.default_rng(0).normal(128, 20, (64, 64)).astype(np.float32)
    blurred = sum(np.roll(sharp, (x, y), (0, 1)) for x in range(5) for y in range(5)) / 25

    assert measure_sharpness(sharp) > 10 * measure_sharpness(blurred)
    assert measure_sharpness(0.1 * sharp) == pytest.approx(measure_sharpness(sharp), rel=1e-3)
    assert measure_sharpness(np.zeros((64, 64), np.float32)) == 0
    assert measure_sharpness(np.zeros((1, 64), np.float32)) == 0
