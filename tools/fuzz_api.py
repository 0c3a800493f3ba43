"""`.venv/bin/python tools/fuzz_api.py [--requests N] [--seed N]`: ask a real server what it never expects.

Requests of every method and path, bent and broken in every part, with credentials of every kind, over sockets. No
answer may be a 5xx (but for the 503 of too many large uploads at once), hold a sentinel's value or take 2 seconds of
the server's own time; a request that is HTTP/1.1 gets an answer; the sentinels stay as they were and can be opened;
the log holds nothing that nobody foresaw, and the memory stays bounded. The seed is printed: with it, every
request can be made again.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from tests.fuzz.api.round import Outcome  # noqa: E402 - found from the root of the project
from tests.fuzz.api.run import fuzz  # noqa: E402


def main() -> None:
    """Fuzz, and tell what was found; the exit code says whether anything was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="that of an earlier run, to repeat it (default: a new one)")
    parser.add_argument("--minutes", type=float, default=90, help="at the most (default: %(default)s)")
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="nightsafe-fuzz-") as folder:
        run = fuzz(Path(folder), seed, arguments.requests, arguments.minutes * 60, _tell)
    print(run.describe())
    sent = sum(run.outcome.statuses.values())
    if sent < arguments.requests:
        sys.exit(f"there was time for {sent:,} requests only")
    sys.exit(1 if run.outcome.failures else 0)


def _tell(outcome: Outcome) -> None:
    """Say how it stands."""
    print(f"{sum(outcome.statuses.values()):,} requests, {outcome.failures} wrong", flush=True)


if __name__ == "__main__":
    main()
