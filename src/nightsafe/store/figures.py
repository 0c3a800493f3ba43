"""Figures of a store, for whoever watches it."""

from msgspec import Struct


class Figures(Struct, frozen=True, kw_only=True):
    """What a store has done, and how long its log is. Counters begin at 0 when it is opened, and only grow.

    Attributes:
        commits: transactions that were made durable.
        failed_commits: transactions that were not, whatever the reason.
        undone_commits: those of them whose traces in the log had to be overwritten, and were.
        unknown_commits: those of which nobody knows whether they are there.
        writer_failures: how often the writer's task ended by an error and was begun anew.
        log_bytes: length of the write-ahead log.
        log_held_bytes: the part of it that is not copied into the database yet; a long reader holds that up.
        log_most_bytes: the length from which on writes are refused.
    """

    commits: int
    failed_commits: int
    undone_commits: int
    unknown_commits: int
    writer_failures: int
    log_bytes: int
    log_held_bytes: int
    log_most_bytes: int
