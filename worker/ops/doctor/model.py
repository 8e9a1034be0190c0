"""Check that photos can be read and judged."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from importlib import import_module

from worker.config import Config
from worker.errors import BundleError, MoodsortError
from worker.ops.doctor.result import Finding, State, of_error, ok

_DECODERS = {"jpg": "JPEG", "zlib": "PNG", "webp": "WebP", "libtiff": "TIFF", "avif": "AVIF"}
"""What Pillow may have been built without, and what is not read then."""

_OUR_NAME = "see moodsort doctor"
"""What a worker advises when its classifier processes end as they start."""

_UNFIT = "raise limits.memory_bytes, or take a machine whose processor LiteRT was built for"


def pillow_has(feature: str) -> bool:
    """Tell whether Pillow was built with a decoder."""
    from PIL import features

    return features.check(feature) is True


def heif_decoders() -> int:
    """Return how many HEIC decoders there are."""
    import pillow_heif

    return len(pillow_heif.libheif_info()["decoders"])


def check_images(
    has: Callable[[str], bool] = pillow_has, heif: Callable[[], int] = heif_decoders
) -> Iterator[Finding]:
    """Check that the image libraries are there and read every format."""
    try:
        import_module("worker.inference.decode")
        missing = [name for feature, name in _DECODERS.items() if not has(feature)]
        missing += [] if heif() else ["HEIC"]
    except ImportError as error:
        yield Finding("images", State.FAIL, f"a library cannot be loaded ({error})", "install moodsort again")
        return
    if missing:
        remedy = "install Pillow and pillow-heif from wheels (pip install --force-reinstall)"
        yield Finding("images", State.WARN, f"{', '.join(missing)} cannot be read", remedy)
    else:
        yield ok("images", f"{', '.join(_DECODERS.values())} and HEIC can be read")


def classes_of(config: Config) -> tuple[str, ...]:
    """Return the labels of the bundle, none where it cannot be read: `check_bundle` tells why."""
    try:
        from worker.inference.bundle import load_bundle

        return load_bundle(config.bundle_folder).manifest.classes
    except (ImportError, MoodsortError):
        return ()


def judge_in_a_process(config: Config) -> None:
    """Have a classifier process load the bundle and test it, under its limits, as the worker does.

    A processor that LiteRT was not built for ends that process, not this one. Raises BundleError.
    """
    from worker.daemon.clock import Clock
    from worker.daemon.startup import start_pool
    from worker.inference.bundle import load_bundle

    clock = Clock()
    with closing(start_pool(config, load_bundle(config.bundle_folder), clock, processes=1)) as pool:
        pool.wait_ready(clock.monotonic, lambda: True)


def check_bundle(config: Config, judge: Callable[[Config], None] = judge_in_a_process) -> Iterator[Finding]:
    """Check that the bundle is whole, and computes here what it computed when it was made."""
    try:
        from worker.inference.bundle import load_bundle

        manifest = load_bundle(config.bundle_folder).manifest
        judge(config)
    except ImportError as error:
        yield Finding("model", State.FAIL, f"a library cannot be loaded ({error})", "install moodsort again")
    except BundleError as error:
        found = of_error("model", error)
        yield replace(found, remedy=_UNFIT) if found.remedy == _OUR_NAME else found
    else:
        stages = ", ".join(stage.title for stage in manifest.stages)
        yield ok("model", f"{manifest.name} {manifest.version} ({stages}) passes its self-test")
