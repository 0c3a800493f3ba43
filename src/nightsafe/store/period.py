"""A stretch of time, as lists are bounded by it. Times are whole microseconds since 1970-01-01 UTC."""

from msgspec import Struct


class Period(Struct, frozen=True):
    """From when to when, both included, in microseconds."""

    since: int = 0
    until: int = 2**63 - 1


ALWAYS = Period()
"""The period without bounds."""
