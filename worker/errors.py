"""Every error that moodsort raises on purpose, one class for each thing that a caller can do about it."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a file is in quarantine or a photo in review: the code in its row, by which it can be queried."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    DAMAGED = "damaged"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    DECODER_CRASHED = "decoder_crashed"
    DECODE_TIMEOUT = "decode_timeout"
    UNSURE = "unsure"
    NO_FACE = "no_face"


REVIEW_REASONS = (Reason.UNSURE, Reason.NO_FACE)
"""Those of photos that have a prediction, and go to review; with any other a file goes to quarantine."""


def suggest_extra(extra: str) -> str:
    """Return the remedy for a library that is missing: install moodsort with one of its extras."""
    # From a clone, as in the README: a name alone would ask a package index that does not have it.
    return f"in a clone of moodsort type: pipx install --force '.[{extra}]'"


class MoodsortError(Exception):
    """Base class of the errors below. The message is one line for each problem: what, where; remedy.

    MoodsortError
    ├── ConfigError    refuse to start; somebody has to change the configuration or the command
    ├── BundleError    refuse to start; somebody has to choose another bundle
    ├── StoreError     refuse to start; a service that has run before tries again
    ├── InboxInUse     refuse to start; another worker is running
    ├── Transient      release what is in hand, back off, and try again
    │   └── Locked     back off, and try the same again with what is in hand
    └── BadPhoto       quarantine the photo with its reason code, and go on
    """

    exit_status = 1


class ConfigError(MoodsortError):
    """The configuration is wrong, or a command was called in a wrong way."""

    exit_status = 2  # as click has it for wrong usage


class BundleError(MoodsortError):
    """The bundle is damaged, does not fit this machine or program, or fails its self-test."""


class StoreError(MoodsortError):
    """The database cannot be opened, or is newer than this program."""


class InboxInUse(MoodsortError):
    """Another worker holds the inbox or the database."""


class Transient(MoodsortError):
    """The cause may pass by itself: a locked database, a lost connection, a full disk."""


class Locked(Transient):
    """Another program has locked the database; the connection is as good as before."""


class BadPhoto(MoodsortError):
    """A file has no prediction and never will: it is no picture, damaged, or too large."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
