"""JSON messages in which a delivery process tells the API which scripts it holds apart."""

from typing import Annotated

from msgspec import Meta, Struct


class HeldScript(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One script that is held apart: its requests get status 503 for a while.

    Attributes:
        script: its name.
        until: when the process tries the script again, in seconds since 1970.
        reason: what the script did.
    """

    script: Annotated[str, Meta(min_length=1, max_length=255)]
    until: float
    reason: Annotated[str, Meta(max_length=500)]


class HeldScriptsReport(Struct, frozen=True, forbid_unknown_fields=True):
    """All scripts that one process holds apart; it replaces the process's previous report."""

    held: Annotated[tuple[HeldScript, ...], Meta(max_length=1000)]
