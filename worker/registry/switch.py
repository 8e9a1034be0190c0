"""Put another bundle into use, if it is fit for it."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from worker.config import Config
from worker.daemon.clock import Clock
from worker.daemon.startup import check_bundle
from worker.errors import BundleError, MoodsortError
from worker.inference.bundle import Bundle, load_bundle
from worker.paths import shown
from worker.registry.bundle_comparison import Comparison, compare, labels_given, read_test_set
from worker.registry.choice import set_bundle
from worker.registry.reload_signal import Told, tell_worker

_FORCE = "use --force to switch nevertheless"


@dataclass(frozen=True, slots=True)
class Wish:
    """The bundle to put into use; the folder of labelled pictures to compare it on, or None.

    `is_forced` takes one that is worse or has other classes; `is_return` takes other classes as well: they
    have been in use before.
    """

    folder: Path
    test_folder: Path | None
    is_forced: bool
    is_return: bool


@dataclass(frozen=True, slots=True)
class Switch:
    """What was done: `spelling` is the new `model.bundle`, None where it named the bundle already.

    `other_classes` are those of the bundle that was in use, where they are not the new one's.
    """

    bundle: Bundle
    other_classes: tuple[str, ...]
    comparison: Comparison | None
    spelling: str | None
    told: Told


def switch(config: Config, path: Path, wish: Wish) -> Switch:
    """Test a bundle, compare it, write it into the configuration file `path`, and tell the worker.

    Raises MoodsortError where the bundle is not fit, or not wanted; nothing is changed then.
    """
    bundle = load_bundle(wish.folder)
    check_bundle(replace(config, model=replace(config.model, bundle=str(wish.folder))), Clock(), lambda: True)
    other_classes = _other_classes(config, bundle, wish)
    is_in_use = wish.folder.resolve() == config.bundle_folder.resolve()
    comparison = _compared(config, bundle, wish)
    spelling = None if is_in_use else set_bundle(path, config.bundle_folder, wish.folder)
    return Switch(bundle, other_classes, comparison, spelling, tell_worker(config))


def _other_classes(config: Config, bundle: Bundle, wish: Wish) -> tuple[str, ...]:
    classes: tuple[str, ...] = ()
    with suppress(BundleError):  # a bundle that is broken files nothing anywhere
        classes = load_bundle(config.bundle_folder).manifest.classes
    if not classes or set(classes) == set(bundle.manifest.classes):
        return ()
    if not (wish.is_forced or wish.is_return):
        raise MoodsortError(
            f"{shown(bundle.folder)}: has the classes {', '.join(bundle.manifest.classes)}, the model in use "
            f"{', '.join(classes)}, so photos would go to other folders; {_FORCE}"
        )
    return classes


def _compared(config: Config, bundle: Bundle, wish: Wish) -> Comparison | None:
    if wish.test_folder is None:
        return None
    try:
        in_use = load_bundle(config.bundle_folder)
    except BundleError as error:
        raise BundleError(
            f"{error} (it is the one in use); leave --test out, nothing compares with it"
        ) from error
    test_set = read_test_set(wish.test_folder, config, (bundle, in_use))
    by_new = labels_given(config, bundle, test_set)
    comparison = compare(test_set, by_new, labels_given(config, in_use, test_set))
    if comparison.is_worse and not wish.is_forced:
        raise MoodsortError(
            f"{shown(bundle.folder)}: is less accurate on {shown(wish.test_folder)}: {comparison.new}, "
            f"the model in use {comparison.old}, McNemar's p = {comparison.p_value:.2g}; {_FORCE}"
        )
    return comparison
