"""Where bundles come from."""

import asyncio
from contextlib import suppress
from hashlib import sha256
from typing import Protocol

from msgspec import Struct

from nightsafe.bundle.model import Bundle
from nightsafe.bundle.processes import Report
from nightsafe.bundle.signed import sign_bundle
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.interfaces import MessageSigner


class Changes(Struct, frozen=True, kw_only=True):
    """What has changed.

    Attributes:
        cursor: up to where this tells; ask for what comes after it.
        scripts: names of the scripts whose bundle may have changed, each once.
        whole: these are all scripts there are, because no cursor was given, or it could not be followed.
        rolled_back: the cursor is ahead of the log, or of another one: the database is not the one it came from.
    """

    cursor: str
    scripts: tuple[str, ...]
    whole: bool = False
    rolled_back: bool = False


class BundleSource(Protocol):
    """The API, as the delivery side sees it. Nothing it says is believed but what is signed."""

    async def changes(self, after: str, *, wait: bool) -> Changes:
        """Wait for changes.

        Asking for what comes after a cursor also says that all up to it has been acted on, as far as that is possible
        at all: that is what a write waits for.

        Args:
            after: the cursor of the answer before, or "" for all there is.
            wait: whether to wait, for half a minute at the most, when there is nothing yet.

        Returns:
            What there is, which may be nothing.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached.
        """
        ...

    async def bundle(self, script: str) -> bytes:
        """The signed bundle of a script as it is now; of one that is not there, a bundle without versions.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached.
        """
        ...

    async def module(self, digest: bytes) -> bytes:
        """The contents with this SHA-256; the caller checks them.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached or does not have them.
        """
        ...

    async def report(self, report: Report) -> None:
        """Tell which scripts are held apart.

        Raises:
            NightsafeError: UNAVAILABLE, when the source cannot be reached or does not take it.
        """
        ...


class MemorySource:
    """A source in this process, for whoever has bundles at hand.

    Args:
        account_id: whose scripts these are.
        signer: signs the bundles, as the API does.
        wait_seconds: how long to wait for changes.
    """

    def __init__(self, account_id: str, signer: MessageSigner, wait_seconds: float = 25.0) -> None:
        self._account_id = account_id
        self._signer = signer
        self._wait_seconds = wait_seconds
        self._bundles: dict[str, Bundle] = {}
        self._changed: dict[str, int] = {}
        self._contents: dict[bytes, bytes] = {}
        self._moved = asyncio.Condition()
        self.serial = 0
        self.acted_on = 0
        self.reported = Report(held=())

    async def changes(self, after: str, *, wait: bool) -> Changes:
        """As `BundleSource.changes`."""
        seen = int(after or 0)
        async with self._moved:
            self.acted_on = seen
            self._moved.notify_all()
            if seen > self.serial:
                return Changes(cursor=str(self.serial), scripts=tuple(self._changed), whole=True, rolled_back=True)
            if wait and after:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_seconds):
                        await self._moved.wait_for(lambda: self.serial > seen)
            scripts = tuple(name for name, serial in self._changed.items() if serial > seen)
            return Changes(cursor=str(self.serial), scripts=scripts, whole=not after)

    async def bundle(self, script: str) -> bytes:
        """As `BundleSource.bundle`."""
        empty = Bundle(account_id=self._account_id, script=script, serial=0)
        current = self._bundles.get(script, empty)
        return sign_bundle(
            Bundle(
                account_id=current.account_id,
                namespace=current.namespace,
                script=current.script,
                serial=self.serial,
                versions=current.versions,
            ),
            self._signer,
        )

    async def module(self, digest: bytes) -> bytes:
        """As `BundleSource.module`."""
        if digest not in self._contents:
            raise NightsafeError(Code.UNAVAILABLE, "the module is not there")
        return self._contents[digest]

    async def report(self, report: Report) -> None:
        """As `BundleSource.report`."""
        self.reported = report

    def keep(self, contents: bytes) -> bytes:
        """Hold the contents of a module; gives their SHA-256."""
        digest = sha256(contents).digest()
        self._contents[digest] = contents
        return digest

    async def put(self, bundle: Bundle) -> int:
        """Let a script be served like this; gives the serial."""
        async with self._moved:
            self.serial += 1
            self._bundles[bundle.script] = bundle
            self._changed[bundle.script] = self.serial
            self._moved.notify_all()
            return self.serial

    async def wait_until_acted_on(self, serial: int) -> None:
        """Return when the delivery side has acted on everything up to a serial."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.acted_on >= serial)
