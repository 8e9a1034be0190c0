"""Values computed by TensorFlow in a process of their own: its threads would outlive a test."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.patience import scale

_PROJECT = Path(__file__).parents[1]


def compute(program: str, *arguments: os.PathLike[str]) -> dict[str, Any]:
    """Run a Python program that prints one JSON object, and return that object."""
    result = subprocess.run(
        [sys.executable, "-c", program, *map(os.fspath, arguments)],
        cwd=_PROJECT,
        capture_output=True,
        text=True,
        timeout=scale(100),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values
