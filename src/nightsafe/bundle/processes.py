"""JSON messages in which a delivery process tells the API which scripts it holds apart or may not yet serve."""

from typing import Annotated

from msgspec import Meta, Struct

VersionId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]


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


class WaitingScript(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One script whose newest deployment waits for an approval.

    Attributes:
        script: its name.
        versions: UUIDs of the versions that wait.
        serving: UUIDs of the versions that are served instead; empty when no version was ever approved.
    """

    script: Annotated[str, Meta(min_length=1, max_length=255)]
    versions: Annotated[tuple[VersionId, ...], Meta(max_length=100)]
    serving: Annotated[tuple[VersionId, ...], Meta(max_length=100)] = ()


class HeldScriptsReport(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All scripts that one process holds apart or may not yet serve; it replaces the process's previous report.

    A process that uses no approvals leaves `waiting` out, so that an older API accepts its report.
    """

    held: Annotated[tuple[HeldScript, ...], Meta(max_length=1000)]
    waiting: Annotated[tuple[WaitingScript, ...], Meta(max_length=1000)] = ()
