"""Waiting, in which the two clients differ."""

import time
import weakref

import httpcore


def sleep(seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)


def close_when_forgotten(owner: object, pool: httpcore.ConnectionPool) -> None:
    """Close the connections when nobody can use them any more."""
    weakref.finalize(owner, pool.close)
