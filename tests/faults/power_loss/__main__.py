"""Cut the power at every moment of a run: ``python -m tests.faults.power_loss``.

Every loss of what was not yet synced is laid out, recovered and audited. Ends with 0 only where every promise
was kept.
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.power_loss.replay import iterate_outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power_loss", description=__doc__)
    parser.add_argument("--states", type=int, default=1_000_000, help="a sample of so many; default: all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="moodsort-power-loss-"))
    states, counts = 0, Counter[str]()
    for outcome in iterate_outcomes(folder, arguments.states, arguments.seed):
        states += 1
        counts.update(outcome.audit.counts)
        if not outcome.audit.is_clean:
            sys.stdout.write(f"{outcome}\n")
    for name, value in {"seed": arguments.seed, "states": states, **counts}.items():
        sys.stdout.write(f"{name:24} {value}\n")
    if counts.total():
        sys.stdout.write(f"kept: {folder}\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
