"""The settings of a run, and the places of its files."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"

SERVER_CORE, LOADER_CORE = 0, 1
ACCOUNT_ID = "023e105f4ecef8ad9ca31a8372d0c353"
PER_SCRIPT = 10
"""The number of secrets in each seeded script."""

VALUE = "b5f1c0de" * 8
"""The 64-byte value of every write, to Nightsafe and to the peers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one run.

    Attributes:
        secrets: the number of secrets in the database, ten in each script.
        rounds: the number of rounds for each server. Figures are medians of the rounds.
        seconds: the length of a round.
        connections: the number of connections.
        burst: the number of requests in one burst to one script.
        peer_keys: the number of keys that a peer gets before reads.
        quick: whether this is a smoke run, in which a figure that cannot be measured is no failure.
    """

    secrets: int
    rounds: int
    seconds: float
    connections: int
    burst: int
    peer_keys: int
    quick: bool

    @property
    def scripts(self) -> int:
        """Return the number of scripts."""
        return self.secrets // PER_SCRIPT

    @classmethod
    def parse(cls) -> Self:
        """Parse the command line."""
        parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
        parser.add_argument("--secrets", type=int, metavar="N", help="secrets in the database (default: 1,000,000)")
        parser.add_argument("--rounds", type=int, metavar="N", help="rounds for each server (default: 7)")
        parser.add_argument("--seconds", type=float, metavar="S", help="length of a round (default: 3)")
        parser.add_argument("--quick", action="store_true", help="a smoke run: 20,000 secrets, 3 rounds of 1 s")
        given = parser.parse_args()
        secrets: int = given.secrets or (20_000 if given.quick else 1_000_000)
        rounds: int = given.rounds or (3 if given.quick else 7)
        seconds: float = given.seconds or (1.0 if given.quick else 3.0)
        if secrets < 100 * PER_SCRIPT or not 0 < seconds <= 60 or not 0 < rounds <= 50:
            parser.error("give at least 1,000 secrets, at most 50 rounds and 60 seconds")
        return cls(secrets, rounds, seconds, 64, 1000, 200 if given.quick else 1000, given.quick)
