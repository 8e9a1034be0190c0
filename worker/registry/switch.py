"""Put another bundle into use, once it has passed its tests."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.config import Config
from worker.errors import BundleError, MoodsortError
from worker.filing.folders import prepare_folders
from worker.inference.bundle import Bundle, load_bundle
from worker.paths import format_path
from worker.pool.batch import check_task
from worker.pool.prediction_task import PredictionTask
from worker.registry.bundle_comparison import BundleComparison, compare_labels, predict_labels, read_test_set
from worker.registry.choice import set_bundle
from worker.registry.reload_signal import ReloadResult, request_reload

_FORCE = "use --force to switch anyway"


@dataclass(frozen=True, slots=True)
class SwitchRequest:
    """The bundle to put into use, and the folder of labelled pictures to compare it on, or None.

    `is_forced` accepts one that is worse or has other classes; `is_return` accepts other classes, because
    they have been in use before.
    """

    folder: Path
    test_folder: Path | None
    is_forced: bool
    is_return: bool


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """What was done: `spelling` is the new `model.bundle`, None where it named the bundle already.

    `other_classes` are those of the bundle that was in use before, empty where they are the new one's.
    """

    bundle: Bundle
    other_classes: tuple[str, ...]
    comparison: BundleComparison | None
    spelling: str | None
    reload: ReloadResult


def switch_bundle(config: Config, path: Path, request: SwitchRequest) -> SwitchResult:
    """Test a bundle, compare it, write it into the configuration file `path`, and reload the worker.

    Raises MoodsortError where the bundle is unusable, worse, or has other classes; nothing is changed then.
    """
    bundle = load_bundle(request.folder)
    prepare_folders(config, bundle.manifest.classes, bundle.folder)
    check_task(PredictionTask(bundle.folder), config.limits)
    other_classes = _check_classes(config, bundle, request)
    is_in_use = request.folder.resolve() == config.bundle_folder.resolve()
    comparison = _compare(config, bundle, request)
    spelling = None if is_in_use else set_bundle(path, config.bundle_folder, request.folder)
    return SwitchResult(bundle, other_classes, comparison, spelling, request_reload(config))


def _check_classes(config: Config, bundle: Bundle, request: SwitchRequest) -> tuple[str, ...]:
    classes: tuple[str, ...] = ()
    with suppress(BundleError):  # a broken bundle has filed nothing, so nothing changes its folder
        classes = load_bundle(config.bundle_folder).manifest.classes
    if not classes or set(classes) == set(bundle.manifest.classes):
        return ()
    if not (request.is_forced or request.is_return):
        raise MoodsortError(
            f"{format_path(bundle.folder)}: has the classes {', '.join(bundle.manifest.classes)}, the model "
            f"in use {', '.join(classes)}, so photos would go to other folders; {_FORCE}"
        )
    return classes


def _compare(config: Config, bundle: Bundle, request: SwitchRequest) -> BundleComparison | None:
    if request.test_folder is None:
        return None
    try:
        in_use = load_bundle(config.bundle_folder)
    except BundleError as error:
        raise BundleError(
            f"{error} (it is the one in use); leave --test out, there is nothing to compare with"
        ) from error
    test_set = read_test_set(request.test_folder, config, (bundle, in_use))
    new_labels = predict_labels(config, bundle, test_set)
    comparison = compare_labels(test_set, new_labels, predict_labels(config, in_use, test_set))
    if comparison.is_worse and not request.is_forced:
        raise MoodsortError(
            f"{format_path(bundle.folder)}: is less accurate on {format_path(request.test_folder)}: "
            f"{comparison.new}, the model in use {comparison.old}, "
            f"McNemar's p = {comparison.p_value:.2g}; {_FORCE}"
        )
    return comparison
