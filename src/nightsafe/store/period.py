"""The period of time that limits a list. Times are whole microseconds since 1970-01-01 UTC."""

from msgspec import Struct


class Period(Struct, frozen=True):
    """The first and the last included time, in microseconds."""

    since: int = 0
    until: int = 2**63 - 1


ALWAYS = Period()
"""The unbounded period."""
