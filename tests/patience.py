"""How long tests wait before they give up: generous limits, all scaled by one factor from the environment."""

import os

FACTOR = float(os.environ.get("MOODSORT_TEST_PATIENCE", "1"))
"""Above 1 on machines that are slow or busy."""


def scale(seconds: float) -> float:
    """Return a limit for this machine."""
    return FACTOR * seconds
