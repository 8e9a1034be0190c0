"""Kill workers while photos arrive, and audit what is left: ``python -m tests.faults.torture``.

Ends with 0 only where every promise was kept. The same seed makes the same kills and the same drops, as far
as the scheduling of processes allows.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.torture.campaign import Campaign
from tests.faults.torture.fate import STEPS


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", metavar="URL", help="of an empty database; default: an SQLite file")
    parser.add_argument("--workers", type=int, default=1, help="more than one need a PostgreSQL database")
    parser.add_argument("--file-system", choices=list(STEPS), default="one", help="how photos are moved")
    parser.add_argument(
        "--folder", type=Path, help="where to work; kept, as it is where a promise was broken"
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="moodsort-torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    campaign = Campaign(folder, arguments.seed, arguments.database, arguments.workers, arguments.file_system)
    campaign.run(arguments.kills)
    seconds = time.monotonic() - start
    audit = campaign.audit()
    results = {
        "seed": arguments.seed,
        "kills": campaign.kills,
        "kills a second": round(campaign.kills / seconds, 1),
        "photos": campaign.world.record.drops,
        "workers that failed": campaign.failures,
        **audit.counts,
    }
    for name, value in results.items():
        sys.stdout.write(f"{name:24} {value}\n")
    for finding in audit.findings[:50]:
        sys.stdout.write(f"  {finding}\n")
    if audit.is_clean and not campaign.failures:
        if arguments.folder is None:
            shutil.rmtree(folder)
        return 0
    sys.stdout.write(f"kept: {folder}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
