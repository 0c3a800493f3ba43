"""`make bench`: measures Nightsafe against its budgets and its peers, as ratios in one run."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.bench import main  # noqa: E402 - found from the root of the project

if __name__ == "__main__":
    main()
