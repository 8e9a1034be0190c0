"""Every error that moodsort raises on purpose, one class for each thing a caller can do about it."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a file could not be judged; the code that its row and its quarantine carry."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    DAMAGED = "damaged"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    DECODER_CRASHED = "decoder_crashed"
    DECODE_TIMEOUT = "decode_timeout"


class MoodsortError(Exception):
    """Say on one line what is wrong, where, and what mends it."""

    exit_status = 1


class ConfigError(MoodsortError):
    """Refuse to start: the configuration, or the way a command was called, is wrong."""

    exit_status = 2


class BundleError(MoodsortError):
    """Refuse to start: the bundle is damaged, foreign, or newer than this program."""


class StoreError(MoodsortError):
    """Refuse to start: the database cannot be opened, or is newer than this program."""


class InboxInUse(MoodsortError):
    """Refuse to start: another worker has the inbox or the database."""


class Transient(MoodsortError):
    """Release what is in hand, back off and try again."""


class BadPhoto(MoodsortError):
    """Quarantine the photo with its reason code and a sentence about it."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["BadPhoto"], tuple[Reason, str]]:
        return BadPhoto, (self.reason, self.detail)
