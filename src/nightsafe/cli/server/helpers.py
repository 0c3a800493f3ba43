"""The helper processes of a confined API process, and its tasks about the audit log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from nightsafe.audit.sinks.shipper import Shipper
from nightsafe.cli.server.audit_sinks import AuditSinks, SinkSettings
from nightsafe.cli.server.confinement import network_files
from nightsafe.cli.server.witnesses import Witnesses
from nightsafe.delivery.keep_running import keep_running
from nightsafe.services.audit.older_values import OlderValues
from nightsafe.services.audit.transparency_log import TransparencyLog
from nightsafe.store.interface import Store


class Helpers(NamedTuple):
    """The helper processes, each None if no option asks for it. Only they can connect to anything.

    Attributes:
        reads: whether the audit log has reads too.
        sinks: ship the audit log.
        witnesses: ask witnesses for cosignatures.
    """

    reads: bool
    sinks: AuditSinks | None
    witnesses: Witnesses | None

    @classmethod
    def open(cls, data: Path, options: Mapping[str, Any], *, are_wanted: bool) -> Self:
        """Start them, before this process is confined.

        Args:
            data: the data directory.
            options: the values of the options about the audit log.
            are_wanted: whether this process has them; otherwise another API process of the server has.

        Raises:
            NightsafeError: INVALID, if a sink or a file cannot be used.
        """
        if not are_wanted:
            return cls(options["audit_reads"], None, None)
        settings = SinkSettings(options["audit_sink"], options["audit_sink_token"], options["audit_sink_ca"])
        has_sinks = any((options["audit_sink"], options["audit_sink_token"], options["audit_sink_ca"]))
        return cls(
            options["audit_reads"],
            AuditSinks.open(data, settings, network_files()) if has_sinks else None,
            Witnesses.open(options["witness"], network_files()) if options["witness"] else None,
        )

    @property
    def hangups(self) -> list[Callable[[], None]]:
        """The functions to call at SIGHUP."""
        return [self.sinks.reopen] if self.sinks else []

    def shippers(self, store: Store) -> Sequence[Shipper]:
        """Return what ships the store's log, for the health probe."""
        return self.sinks.shippers(store) if self.sinks else ()

    @asynccontextmanager
    async def running(
        self, store: Store, log: TransparencyLog, older_values: OlderValues | None
    ) -> AsyncIterator[None]:
        """Ship entries, collect cosignatures, and state older values if there may be any, while the API serves."""
        async with AsyncExitStack() as stack:
            if older_values:
                await stack.enter_async_context(_stating(older_values))
            if self.sinks:
                await stack.enter_async_context(self.sinks.running())
            if self.witnesses:
                await stack.enter_async_context(self.witnesses.running(store, log))
            yield


@asynccontextmanager
async def _stating(older_values: OlderValues) -> AsyncIterator[None]:
    """State older values in the background, for the length of this block."""
    task = asyncio.ensure_future(keep_running("older values", older_values.run))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
