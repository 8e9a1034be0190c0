"""The trainer's commands, and what they share. TensorFlow is not imported before a command needs it."""

import importlib.util
import logging
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from worker.errors import ConfigError, suggest_extra

_LOG_LEVEL, _QUIET = "TF_CPP_MIN_LOG_LEVEL", "2"

_LIBRARIES = ("tensorflow", "keras", "scipy")


def start_tensorflow() -> None:
    """Import TensorFlow without its start-up notes, unless TF_CPP_MIN_LOG_LEVEL asks for them.

    TensorFlow writes them before it reads that variable (its own words: "All log messages before
    absl::InitializeLog() is called are written to STDERR"), so standard error goes to a file meanwhile, which
    is shown where the import fails.
    """
    if os.environ.get(_LOG_LEVEL) != _QUIET:
        return
    logging.getLogger("absl").setLevel(logging.ERROR)  # through it TensorFlow and Keras warn
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            notes.seek(0)
            os.write(stderr, notes.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def require_training_libraries() -> None:
    """Raise ConfigError where libraries of moodsort[train] are missing, and say how to get them."""
    os.environ.setdefault(_LOG_LEVEL, _QUIET)
    require_libraries("training", _LIBRARIES)


def require_libraries(purpose: str, names: Sequence[str], extra: str = "train") -> None:
    """Raise ConfigError where one of these libraries of moodsort[`extra`] is missing."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"{purpose} needs {', '.join(missing)}, not installed; {suggest_extra(extra)}")


def format_command(arguments: Sequence[str] | None = None) -> str:
    """Return the command line for the manifest, absolute paths by their last name alone.

    A bundle is given away; the folders of the machine that made it are nobody else's business.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["moodsort", *map(_format_argument, words)])


def _format_argument(argument: str) -> str:
    path = Path(argument)
    return path.name if path.is_absolute() else argument
