"""`.venv/bin/python tools/fuzz_api.py [--requests N] [--seed N]`: send malformed requests to a real server.

The requests have every method and path, faults in every part, and credentials of every kind, and go over sockets. The
run checks that no answer is a 5xx (except the 503 for too many large uploads at once), contains a sentinel's value or
takes 2 seconds of the server's own time; that every valid HTTP/1.1 request gets an answer; that the sentinels stay
unchanged and can be opened; that the log has no unexpected entry; and that the memory stays bounded. The seed is
printed: with it, a run can be repeated.
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
    """Fuzz, and print the result. The exit code says whether anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000, help="number of requests (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="seed of an earlier run, to repeat it (default: a new seed)")
    parser.add_argument("--minutes", type=float, default=90, help="longest time (default: %(default)s)")
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="nightsafe-fuzz-") as folder:
        run = fuzz(Path(folder), seed, arguments.requests, arguments.minutes * 60, _tell)
    print(run.describe())
    sent = sum(run.outcome.statuses.values())
    if sent < arguments.requests:
        sys.exit(f"the time was only enough for {sent:,} requests")
    sys.exit(1 if run.outcome.failures else 0)


def _tell(outcome: Outcome) -> None:
    """Print the progress."""
    print(f"{sum(outcome.statuses.values()):,} requests, {outcome.failures} wrong", flush=True)


if __name__ == "__main__":
    main()
