"""Watch a folder of photos, judge each with a network, file it and record the decision."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("moodsort")
except PackageNotFoundError:  # imported from a source tree that was never installed
    __version__ = "0.0.0"
