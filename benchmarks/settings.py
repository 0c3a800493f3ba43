"""What a run measures, with how much, and where things are kept."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"

SERVER_CORE, LOADER_CORE = 0, 1
ACCOUNT_ID = "023e105f4ecef8ad9ca31a8372d0c353"
PER_SCRIPT = 10
"""Secrets in each seeded script."""

VALUE = "b5f1c0de" * 8
"""The 64-byte value that every write puts, here and at the peers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One run.

    Attributes:
        secrets: how many the database holds, ten in each script.
        rounds: how often each server is measured; figures are medians of the rounds.
        seconds: length of a round.
        connections: kept open at once.
        burst: requests in one burst to one script.
        peer_keys: how many keys a peer is filled with before reads.
        quick: a smoke run: what cannot be measured is no failure.
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
        """How many scripts the secrets are in."""
        return self.secrets // PER_SCRIPT

    @classmethod
    def parse(cls) -> Self:
        """From the command line."""
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
