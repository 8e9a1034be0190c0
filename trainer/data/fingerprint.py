"""Identify data and training runs by what decides their results, whatever files are called."""

import hashlib
import json
from collections.abc import Sequence


def fingerprint_data(hashes: Sequence[str], labels: Sequence[str]) -> str:
    """Return a SHA-256 over the files' own hashes and their labels, whatever their names and order."""
    lines = sorted(f"{sha256} {label}\n" for sha256, label in zip(hashes, labels, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint_values(values: object) -> str:
    """Return 64 hex digits over plain values: what JSON has a word for, anything else by its text."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
