"""Check and complete the options of `moodsort train`, before TensorFlow starts, which takes seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.data.atomic_directory import check_bundle_output
from trainer.data.class_folders import ClassFile, find_classes
from trainer.data.splits import LEAKAGE_LIMIT
from trainer.export.interchange import check_exports
from trainer.models.architectures import MODEL_FILE, NO_WEIGHTS, Colour, choose_input, choose_weights
from trainer.training.configuration import TrainingConfig
from trainer.training.defaults import choose_hyperparameters
from worker.errors import ConfigError
from worker.inference.bundle import load_bundle
from worker.inference.manifest import InputSpec


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What a person says of a training; None is chosen by the network and the pictures.

    `tensorboard` is a folder, and "" the one beside `out`. `margin_points` are points of accuracy.
    """

    data: tuple[Path, ...]
    out: Path
    name: str | None
    network: str
    weights: str | None
    start_from: Path | None
    new_head: bool
    epochs: int | None
    time_budget: float | None
    patience: int | None
    input_size: int | None
    colour: Colour | None
    seed: int
    threads: int
    allow_leakage: bool
    force: bool
    fresh: bool
    margin_points: float
    no_keras: bool
    exports: tuple[str, ...]
    no_pictures: bool
    tensorboard: str | None


def complete_options(options: TrainingOptions, max_pixels: int, command: str) -> TrainingConfig:
    """Return the configuration of a training. Raises ConfigError for options that do not go together."""
    out = options.out.resolve()
    check_bundle_output(out, force=options.force)
    check_exports(options.exports)
    files_by_class = find_classes(options.data)
    weights = choose_weights(options.network, options.weights, options.start_from)
    fine_tuning = options.start_from is not None or weights != NO_WEIGHTS
    return TrainingConfig(
        folders=options.data,
        out=out,
        name=options.name or out.name,
        input=_choose_input(options, files_by_class),
        command=command,
        network=options.network,
        weights=weights,
        start_from=options.start_from,
        new_head=options.new_head,
        hyperparameters=choose_hyperparameters(options.network, fine_tuning=fine_tuning),
        seed=options.seed,
        epochs=options.epochs,
        patience=options.patience,
        time_budget_seconds=options.time_budget,
        threads=options.threads,
        fresh=options.fresh,
        tensorboard=_choose_tensorboard(options.tensorboard, out),
        leakage_limit=1.0 if options.allow_leakage else LEAKAGE_LIMIT,
        margin=options.margin_points / 100,
        keep_keras=not options.no_keras,
        pictures=not options.no_pictures,
        exports=options.exports,
        max_pixels=max_pixels,
    )


def _choose_input(options: TrainingOptions, files_by_class: Mapping[str, Sequence[ClassFile]]) -> InputSpec:
    if options.start_from is not None:
        return _find_input(options.start_from, tuple(files_by_class), new_head=options.new_head)
    if options.new_head:
        raise ConfigError("--new-head goes with --start-from")
    paths = [file.path for files in files_by_class.values() for file in files]
    return choose_input(options.network, options.input_size, options.colour, paths)


def _find_input(start_from: Path, classes: tuple[str, ...], *, new_head: bool) -> InputSpec:
    """Return what the network of a bundle reads that is to be trained further on these classes."""
    manifest = load_bundle(start_from).manifest
    if manifest.classes != classes and not new_head:
        raise ConfigError(
            f"{start_from}: its classes are {', '.join(manifest.classes)}, those of DATA are "
            f"{', '.join(classes)}; --new-head replaces its last layer"
        )
    if manifest.detection is not None:
        raise ConfigError(
            f"{start_from}: is made of several networks, of which none can be trained further alone; "
            "name a bundle without a detector"
        )
    if not (start_from / MODEL_FILE).is_file():
        raise ConfigError(
            f"{start_from}: has no {MODEL_FILE} to be trained further; train it without --no-keras"
        )
    return manifest.networks[-1].input


def _choose_tensorboard(folder: str | None, out: Path) -> Path | None:
    if folder is None:
        return None
    return Path(folder) if folder else out.with_name(f"{out.name}.tensorboard")
