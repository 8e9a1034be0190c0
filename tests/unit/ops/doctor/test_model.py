"""The doctor's checks of the image libraries and the bundle."""

from worker.config import load_config
from worker.errors import BundleError
from worker.ops.doctor.model import check_bundle, check_images, read_classes
from worker.ops.doctor.result import CheckState
from worker.pool.jail import Jail


def test_every_decoder_that_is_missing_is_named() -> None:
    (result,) = check_images(has=lambda feature: feature != "avif", heif=lambda: 0)
    assert (result.state, result.found) == (CheckState.WARN, "AVIF, HEIC cannot be read")


def test_a_library_that_cannot_be_loaded_fails() -> None:
    def refuse() -> int:
        raise ImportError("libheif.so.1: cannot open shared object file")

    (result,) = check_images(heif=refuse)
    assert result.state is CheckState.FAIL
    assert "libheif.so.1" in result.found


def test_the_installed_libraries_read_every_format() -> None:
    (result,) = check_images()
    assert result.state is CheckState.OK


def test_a_bundle_that_passes_its_test_is_named() -> None:
    result, _ = check_bundle(load_config(), lambda _: Jail(("Landlock",), ()))
    assert (result.state, result.found.split()[0]) == (CheckState.OK, "default")
    assert "happy" in read_classes(load_config())


def test_the_restrictions_that_hold_are_named_and_those_that_do_not_are_explained() -> None:
    *_, whole = check_bundle(load_config(), lambda _: Jail(("Landlock", "seccomp"), ()))
    assert (whole.check, whole.state) == ("sandbox", CheckState.OK)
    assert "Landlock, seccomp" in whole.found
    *_, partial = check_bundle(
        load_config(), lambda _: Jail(("seccomp",), ("Landlock: Operation not supported",))
    )
    assert partial.state is CheckState.WARN
    assert partial.found.endswith("but not Landlock: Operation not supported")
    assert partial.remedy


def test_a_bundle_that_fails_its_self_test_fails_with_its_own_remedy() -> None:
    def refuse(_: object) -> Jail:
        raise BundleError("golden.npz: logits differ; use another")

    (result,) = check_bundle(load_config(), refuse)
    assert (result.state, result.found, result.remedy) == (
        CheckState.FAIL,
        "golden.npz: logits differ",
        "use another",
    )


def test_the_doctor_does_not_send_people_to_the_doctor() -> None:
    def refuse(_: object) -> Jail:
        raise BundleError("child processes do not start: signal 4 (SIGILL); see moodsort doctor")

    (result,) = check_bundle(load_config(), refuse)
    assert result.state is CheckState.FAIL
    assert "doctor" not in result.remedy
