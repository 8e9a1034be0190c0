"""Check that photos can be decoded, and that the bundle works here.

Libraries are imported where they are used: one that is missing or broken is a result, not a traceback.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module

from worker.config import Config
from worker.errors import BundleError, MoodsortError
from worker.ops.doctor.result import CheckResult, CheckState, report_error, report_ok
from worker.pool.jail import Jail

_DECODERS = {"jpg": "JPEG", "zlib": "PNG", "webp": "WebP", "libtiff": "TIFF", "avif": "AVIF"}
"""Libraries that Pillow may have been built without, and the format that it cannot read then."""

_SEE_DOCTOR = "see moodsort doctor"
"""The remedy of a worker whose child processes do not start: useless advice from the doctor itself."""

_UNFIT = "raise limits.memory_bytes, or take a machine whose processor LiteRT was built for"


def has_decoder(feature: str) -> bool:
    """Tell whether Pillow was built with a decoder."""
    from PIL import features

    return features.check(feature) is True


def count_heif_decoders() -> int:
    """Return how many HEIC decoders there are."""
    import pillow_heif

    return len(pillow_heif.libheif_info()["decoders"])


def check_images(
    has: Callable[[str], bool] = has_decoder, heif: Callable[[], int] = count_heif_decoders
) -> Iterator[CheckResult]:
    """Check that the image libraries are there and read every format."""
    try:
        import_module("worker.inference.decode")
        missing = [name for feature, name in _DECODERS.items() if not has(feature)]
        missing += [] if heif() else ["HEIC"]
    except ImportError as error:
        yield CheckResult(
            "images", CheckState.FAIL, f"a library cannot be loaded ({error})", "install moodsort again"
        )
        return
    if missing:
        remedy = "install Pillow and pillow-heif from wheels (pip install --force-reinstall)"
        yield CheckResult("images", CheckState.WARN, f"{', '.join(missing)} cannot be read", remedy)
    else:
        yield report_ok("images", f"{', '.join(_DECODERS.values())} and HEIC can be read")


def read_classes(config: Config) -> tuple[str, ...]:
    """Return the classes of the bundle, none where it cannot be read: `check_bundle` reports why."""
    try:
        from worker.inference.bundle import load_bundle

        return load_bundle(config.bundle_folder).manifest.classes
    except (ImportError, MoodsortError):
        return ()


def load_in_process(config: Config) -> Jail:
    """Load the bundle and run its self-test in a child process, under its limits. Raises BundleError.

    A processor that LiteRT was not built for kills that process, not this one.
    """
    from worker.pool.batch import check_task
    from worker.pool.prediction_task import PredictionTask

    return check_task(PredictionTask(config.bundle_folder), config.limits)


def check_bundle(config: Config, load: Callable[[Config], Jail] = load_in_process) -> Iterator[CheckResult]:
    """Check that the bundle is whole, and gives the outputs here that it gave where it was made.

    And that a photo which takes its decoder over is confined.
    """
    try:
        from worker.inference.bundle import load_bundle

        manifest = load_bundle(config.bundle_folder).manifest
        jail = load(config)
    except ImportError as error:
        yield CheckResult(
            "model", CheckState.FAIL, f"a library cannot be loaded ({error})", "install moodsort again"
        )
    except BundleError as error:
        result = report_error("model", error)
        yield replace(result, remedy=_UNFIT) if result.remedy == _SEE_DOCTOR else result
    else:
        networks = ", ".join(network.title for network in manifest.networks)
        yield report_ok("model", f"{manifest.name} {manifest.version} ({networks}) passes its self-test")
        yield rate_sandbox(jail)


def rate_sandbox(jail: Jail) -> CheckResult:
    """Report what keeps a file that takes its decoder over from the rest of the machine."""
    found = f"photos are decoded with {', '.join(jail.restrictions) or 'no restrictions'}"
    if not jail.misses:
        return report_ok("sandbox", found)
    remedy = "Linux 6.12 or newer has all of it; in a container, allow landlock and seccomp"
    return CheckResult("sandbox", CheckState.WARN, f"{found}, but not {'; '.join(jail.misses)}", remedy)
