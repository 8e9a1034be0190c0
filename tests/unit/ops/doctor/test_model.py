from worker.config import load_config
from worker.errors import BundleError
from worker.ops.doctor.model import check_bundle, check_images, read_classes
from worker.ops.doctor.result import CheckState


def test_every_decoder_that_is_missing_is_named() -> None:
    (finding,) = check_images(has=lambda feature: feature != "avif", heif=lambda: 0)
    assert (finding.state, finding.found) == (CheckState.WARN, "AVIF, HEIC cannot be read")


def test_a_library_that_cannot_be_loaded_fails() -> None:
    def refuse() -> int:
        raise ImportError("libheif.so.1: cannot open shared object file")

    (finding,) = check_images(heif=refuse)
    assert finding.state is CheckState.FAIL
    assert "libheif.so.1" in finding.found


def test_the_libraries_that_are_installed_read_every_format() -> None:
    (finding,) = check_images()
    assert finding.state is CheckState.OK


def test_a_bundle_that_passes_its_test_is_named() -> None:
    (finding,) = check_bundle(load_config(), lambda _: None)
    assert (finding.state, finding.found.split()[0]) == (CheckState.OK, "default")
    assert "happy" in read_classes(load_config())


def test_a_bundle_that_does_not_compute_as_it_did_fails_with_its_own_remedy() -> None:
    def refuse(_: object) -> None:
        raise BundleError("golden.npz: logits differ; use another")

    (finding,) = check_bundle(load_config(), refuse)
    assert (finding.state, finding.found, finding.remedy) == (
        CheckState.FAIL,
        "golden.npz: logits differ",
        "use another",
    )


def test_the_doctor_does_not_send_people_to_the_doctor() -> None:
    def refuse(_: object) -> None:
        raise BundleError("classifier processes do not start: signal 4 (SIGILL); see moodsort doctor")

    (finding,) = check_bundle(load_config(), refuse)
    assert finding.state is CheckState.FAIL
    assert "doctor" not in finding.remedy
