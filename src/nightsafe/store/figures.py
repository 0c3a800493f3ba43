"""A store's figures for monitoring."""

from msgspec import Struct


class Figures(Struct, frozen=True, kw_only=True):
    """A store's counters and the length of its log. Counters start at 0 when the store is opened, and only grow.

    Attributes:
        commits: transactions that were made durable.
        failed_commits: transactions that were not made durable, for any reason.
        undone_commits: failed transactions whose traces in the log had to be overwritten, and were.
        unknown_commits: failed transactions that may or may not be kept.
        writer_failures: how often the writer's task ended with an error and was restarted.
        log_bytes: the length of the write-ahead log.
        log_held_bytes: the part of the log that is not yet copied into the database; a long read delays the copy.
        log_most_bytes: the log length from which the store refuses writes.
    """

    commits: int
    failed_commits: int
    undone_commits: int
    unknown_commits: int
    writer_failures: int
    log_bytes: int
    log_held_bytes: int
    log_most_bytes: int
