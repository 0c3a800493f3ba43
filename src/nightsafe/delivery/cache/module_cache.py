"""Keeps the contents of modules, by their SHA-256, while a bundle needs them."""

from collections.abc import Iterable
from hashlib import sha256

from nightsafe.bundle.model import BundleVersion
from nightsafe.delivery.source.bundle_source import BundleSource
from nightsafe.errors import Code, NightsafeError


class ModuleCache:
    """Fetches each content once and checks it against its SHA-256.

    Args:
        source: provides the contents.
    """

    def __init__(self, source: BundleSource) -> None:
        self._source = source
        self._contents: dict[bytes, bytes] = {}

    async def contents_of(self, version: BundleVersion) -> dict[bytes, bytes]:
        """Return all contents of a version.

        Raises:
            NightsafeError: UNAVAILABLE, when a content cannot be fetched; INVALID, when it has another digest.
        """
        return {module.digest: await self._content(module.name, module.digest) for module in version.modules}

    async def _content(self, name: str, digest: bytes) -> bytes:
        """Return one content."""
        if digest not in self._contents:
            try:
                data = await self._source.module(digest)
            except NightsafeError as error:
                reason = f"the module {name!r} cannot be fetched: {error.problems[0].detail}"
                raise NightsafeError(error.code, reason) from None
            if sha256(data).digest() != digest:
                raise NightsafeError(Code.INVALID, "the contents of a module do not match the bundle's SHA-256")
            self._contents[digest] = data
        return self._contents[digest]

    def keep_only(self, digests: Iterable[bytes]) -> None:
        """Drop all other contents."""
        needed_digests = set(digests)
        for digest in [digest for digest in self._contents if digest not in needed_digests]:
            del self._contents[digest]
