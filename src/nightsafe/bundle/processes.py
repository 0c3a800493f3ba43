"""JSON messages in which a delivery process tells the API which scripts it does not serve as they were deployed."""

from collections.abc import Iterable
from typing import Annotated, Self

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


class ScriptProblem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One script whose newest state is refused or cannot be served.

    Attributes:
        script: its name; "" if the reason concerns all scripts, for example if the log is refused.
        reason: why, and what to do.
    """

    script: Annotated[str, Meta(max_length=255)]
    reason: Annotated[str, Meta(max_length=500)]

    @classmethod
    def of(cls, script: str, reasons: Iterable[str]) -> Self:
        """Return the problem with its reasons in one sentence, which may be cut."""
        return cls(script=script, reason="; ".join(reasons)[:500])


class HeldScriptsReport(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All scripts that one process does not serve as they were deployed; it replaces the process's previous report.

    A process leaves empty members out, so that an older API accepts its report.
    """

    held: Annotated[tuple[HeldScript, ...], Meta(max_length=1000)]
    waiting: Annotated[tuple[WaitingScript, ...], Meta(max_length=1000)] = ()
    problems: Annotated[tuple[ScriptProblem, ...], Meta(max_length=1000)] = ()
