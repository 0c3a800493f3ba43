"""Waits and cleans up. The two clients differ here."""

import time
import weakref

import httpcore


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def close_when_forgotten(owner: object, pool: httpcore.ConnectionPool) -> None:
    """Close the connections when their owner is garbage-collected."""
    weakref.finalize(owner, pool.close)
