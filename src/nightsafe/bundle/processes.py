"""What a delivery process tells the API of scripts that it holds apart, as JSON."""

from typing import Annotated

from msgspec import Meta, Struct


class HeldScript(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One script that is answered with 503 for a while.

    Attributes:
        script: its name.
        until: when it is tried again, in seconds since 1970.
        reason: what it did.
    """

    script: Annotated[str, Meta(min_length=1, max_length=255)]
    until: float
    reason: Annotated[str, Meta(max_length=500)]


class Report(Struct, frozen=True, forbid_unknown_fields=True):
    """All that one process holds apart; it takes the place of what the process told before."""

    held: Annotated[tuple[HeldScript, ...], Meta(max_length=1000)]
