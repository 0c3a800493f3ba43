"""Takes bundles of a real API as the delivery process does."""

from pathlib import Path

from tests.unit.api.delivery.test_bundles import get
from tests.unit.api.tools.driver import ACCOUNT, Api, keys, verifier

from nightsafe.bundle.log_proof import LogProof
from nightsafe.bundle.model import Bundle
from nightsafe.delivery.cache.bundle_cache import BundleCache
from nightsafe.delivery.cache.serials import Serials
from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.delivery.source.log_check import LogCheck
from nightsafe.sealing import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.services.audit.transparency_log import TransparencyLog


class Taker:
    """Takes bundles as the delivery process does, and remembers the highest serial and the log in a file.

    Args:
        api: the API that serves the bundles.
        folder: the directory for the file.
    """

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self._marks = Serials(folder / "marks.json")
        self._bundle_cache = BundleCache(ACCOUNT, verifier(), self._marks)
        source = MemorySource(ACCOUNT, keys()[1])
        source.log_proof = self._log_proof  # type: ignore[method-assign]
        self._log_check = LogCheck(ACCOUNT, source, verifier(), self._marks)

    async def _log_proof(self, old: int) -> LogProof:
        """Return the API's checkpoint with a proof."""
        return await TransparencyLog(self.api.store).proof(old)

    def take(self, data: bytes | None = None, script: str = "worker") -> Bundle:
        """Admit a bundle.

        Args:
            data: the signed bundle; by default the API's current one.
            script: the name of the script.

        Raises:
            NightsafeError: when the bundle is refused.
        """
        given = get(self.api, f"bundles/{script}").body if data is None else data

        async def admit() -> Bundle:
            """Admit the bundle in the event loop, and wait until the file has its serial."""
            admitted = self._bundle_cache.admit(script, given, self._bundle_cache.floor())
            await self._log_check.cover(admitted.serial)
            assert self._bundle_cache.take(admitted)
            await self._marks.flush()
            return admitted

        return self.api.run(admit())

    def value(self) -> str:
        """Return the current value of the script's binding TOKEN."""
        [secret] = self.take().versions[0].bindings
        context = Context(account_id=ACCOUNT, namespace="", script="worker", name="TOKEN", kind="secret_text")
        assert secret.record is not None
        return RecordOpener(verifier(), keys()[0]).open(context, secret.record).reveal().decode()
