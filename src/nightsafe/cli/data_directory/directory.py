"""The data directory: the database or its address, and the key files, each with the mode it needs."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from nightsafe.cli.data_directory.identity_key import load_identity_key, lost_error
from nightsafe.cli.data_directory.ownership import refuse_unsafe
from nightsafe.cli.data_directory.placement import new_safe, safe_parts
from nightsafe.cli.data_directory.recovery import recover_and_lock, recover_and_share
from nightsafe.cli.data_directory.store_address import STORE_URL, find_address
from nightsafe.cli.process.logs import configure_command
from nightsafe.cli.terminal.output import notify
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.files import write
from nightsafe.sealing.groups.sealer import Later
from nightsafe.sealing.identity_key import IdentityKey
from nightsafe.sealing.interfaces import NoteSigner
from nightsafe.sealing.reloading.key_file import ReloadedFile
from nightsafe.sealing.reloading.sealer import ReloadingSealer
from nightsafe.sealing.reloading.signer import ReloadingSigner
from nightsafe.sealing.reloading.verifier import ReloadingVerifier
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.signing_key import SigningKey
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.key_rotation.recipient_keys import record_ring
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.interface import Store
from nightsafe.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from nightsafe.store.postgres.engine.address import Address

T = TypeVar("T")

DATABASE: Final = "nightsafe.db"
_INIT: Final = "init"
PATIENCE: Final = 10.0
"""Seconds to wait for a primary of a PostgreSQL database, unless a setting says otherwise."""

_log = structlog.get_logger()


class DataDirectory:
    """A safe's data directory.

    Args:
        path: the directory.
        patience: seconds to wait for a primary of a PostgreSQL database.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self.patience = patience
        self._database = path / DATABASE
        self.public_ring = path / "keys" / "public-ring.json"
        self.private_ring = path / "delivery" / "private-ring.json"
        self.marks = path / "delivery" / "delivery-marks.json"
        self.signing_key = path / "keys" / "signing-key.json"
        self.verify_keys = path / "keys" / "verify-keys.json"
        self.identity_key = path / "keys" / "identity-key.json"
        self.store_url = path / STORE_URL

    @cached_property
    def address(self) -> "Address | None":
        """The address of a PostgreSQL database, or None for a safe in SQLite.

        Raises:
            NightsafeError: INVALID, when it cannot be used, or there are two databases.
        """
        return find_address(self.path, self._database)

    @property
    def database(self) -> Path:
        """The file of a safe in SQLite.

        Raises:
            NightsafeError: INVALID, for a safe in PostgreSQL, whose tables this program does not read as a file.
        """
        if self.address is not None:
            raise NightsafeError(
                Code.INVALID,
                f"this command reads the file {DATABASE}, and this safe is in PostgreSQL: {self.address}",
            )
        return self._database

    @property
    def store_name(self) -> str:
        """The database's name in messages."""
        return str(self.address or self._database)

    @property
    def is_safe(self) -> bool:
        """Whether the directory has a safe: a database file, or the keys of a safe in PostgreSQL."""
        return self._database.exists() if self.address is None else self.signing_key.exists()

    async def create(self, fill: Callable[[Store], Awaitable[T]]) -> T:
        """Create the directory with new keys and a database, all or nothing. `fill` writes the first rows.

        Raises:
            NightsafeError: INVALID, if the path is taken or cannot be created.
        """
        refuse_unsafe(self.path)
        with recover_and_lock(self.path) as place:
            self._refuse_taken(place)
            try:
                with new_safe(place, _INIT, inside=place.is_dir()) as new:
                    async with self._new_tables():
                        result = await DataDirectory(new.path, self.patience)._fill(fill)  # noqa: SLF001 - another directory of this class
                        new.put_in_place()
            except OSError as error:
                raise NightsafeError(Code.INVALID, f"{self.path} cannot be created: {error.strerror}") from None
        return result

    def _refuse_taken(self, place: Path) -> None:
        """Refuse a path unless it is free or an empty directory."""
        if safe_parts(place) if place.is_dir() else place.exists() or self.path.is_symlink():
            raise NightsafeError(
                Code.INVALID,
                f"{self.path} already exists and will not be overwritten; name another directory with --data",
            )

    def check(self) -> None:
        """Refuse a directory without a safe, or one that others can access.

        Raises:
            NightsafeError: INVALID.
        """
        if not self.is_safe:
            raise NightsafeError(Code.INVALID, f"there is no safe in {self.path}; create one with: nightsafe init")
        refuse_unsafe(self.path)
        if self.address is None and stat.S_IMODE(self.database.stat().st_mode) & 0o077:
            raise NightsafeError(
                Code.INVALID, f"{self.database} can be opened by others; run: chmod 600 {self.database}"
            )

    async def open_store(self) -> Store:
        """Open the store, on the running event loop.

        Raises:
            NightsafeError: INVALID, as for `check` and `load_identity_key`, or if the signing key or the verify keys
                cannot be used; STORE, if the database cannot be used; NO_PRIMARY, if no primary of it has answered in
                time.
        """
        return await self._open(self.load_identity_key(), ReloadingSigner(*self._signing_keys()))

    async def _open(self, identity_key: IdentityKey, signer: NoteSigner, *, create: bool = False) -> Store:
        """Open the store of the engine that the safe uses."""
        if self.address is None:
            return SqliteStore.open(self._database, identity_key, create=create, signer=signer)
        from nightsafe.store.postgres.store import PostgresStore  # users of SQLite do not need its driver

        command = _INIT if create else ""
        patience = self.patience
        return await PostgresStore.open(self.address, identity_key, signer=signer, patience=patience, command=command)

    @asynccontextmanager
    async def _new_tables(self) -> AsyncIterator[None]:
        """Make the tables of a new safe in PostgreSQL, which are whole at the end of the block, or gone."""
        if self.address is None:
            yield
            return
        from nightsafe.store.postgres.creation import new_tables

        async with new_tables(self.address, self.patience, _INIT):
            yield

    async def _fill(self, fill: Callable[[Store], Awaitable[T]]) -> T:
        """Create the keys of a new directory, then the database with its first rows."""
        identity_key = _make_keys(self)
        store = await self._open(identity_key, SigningKey.load(self.signing_key), create=True)
        try:
            result = await fill(store)
        finally:
            await store.close()
        if self.address is not None:
            write(self.store_url, f"{self.address.url}\n".encode(), private=True, replace=False)
        return result

    def load_identity_key(self) -> IdentityKey:
        """Return the key that authenticates identities. A safe that never had one gets it here.

        Raises:
            NightsafeError: as for `open_store`.
        """
        self.check()
        if self.address is not None:
            if not self.identity_key.exists():
                raise lost_error(self.identity_key, "another node or a backup")
            return IdentityKey.load(self.identity_key)
        is_new = not self.identity_key.exists()
        key = load_identity_key(self.identity_key, self.database)
        if is_new:
            notify(
                f"made {self.identity_key} for a safe from before it: every token, user, membership and account in "
                "it was accepted as it is"
            )
        return key

    def accept_older_rows(self) -> None:
        """Allow rows without a statement to be stated as they are, until `refuse_older_rows`."""
        key = IdentityKey.load(self.identity_key)
        key.with_older_rows(accepted=True).save(self.identity_key, replace=True)

    def refuse_older_rows(self) -> None:
        """Let no further row be stated as it is. Processes that are running learn of it when they start again."""
        key = IdentityKey.load(self.identity_key)
        key.with_older_rows(accepted=False).save(self.identity_key, replace=True)

    def run(self, work: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        """Run work with the store on a new event loop, under the shared lock. Return the work's result.

        Raises:
            NightsafeError: as for `open_store`, or from the work.
        """
        with recover_and_share(self.path):
            return self.run_unlocked(work)

    def run_unlocked(self, work: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        """Run work like `run`, for a caller that already holds the lock.

        Raises:
            NightsafeError: as for `run`.
        """
        configure_command()

        async def run_work() -> T:
            """Do the work and close the store."""
            store = await self.open_store()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run_work())

    def safe(self) -> Safe:
        """Load the sealer, which needs only the public ring and the signing key.

        Raises:
            NightsafeError: INVALID, if a key file is missing, damaged, accessible to others, or from another safe.
        """
        sealer, trusted = self._sealer()
        return Safe(sealer, ReloadingVerifier(trusted))

    async def safe_for(self, store: Store) -> Safe:
        """Load the sealer for serving. Keys retired in the database count as retired, even if the file differs.

        Raises:
            NightsafeError: as for `safe`; INVALID, if the public ring is older than one that was in use here.
        """
        sealer, trusted = self._sealer(store.retired_keys_now, asyncio.get_running_loop().call_later)
        await self._refuse_other_keys(store, trusted.current())
        await record_ring(store, sealer.ring, str(self.public_ring))
        sealer.refuse(await store.retired_keys(), str(self.public_ring))
        return Safe(sealer, ReloadingVerifier(trusted))

    async def _refuse_other_keys(self, store: Store, trusted: VerifyKeys) -> None:
        """Refuse keys of another safe: what they sign would break this safe's log, and nobody would have access.

        Raises:
            NightsafeError: INVALID.
        """
        if not await store.accounts():
            raise NightsafeError(
                Code.INVALID,
                f"no account of {self.store_name} counts under {self.identity_key}: the key belongs to another safe."
                " Copy it from a backup of this one, or see: nightsafe token refused-rows",
            )
        note = await store.checkpoint()
        if note and not trusted.names_signer(note):
            raise NightsafeError(
                Code.INVALID,
                f"none of the keys in {self.verify_keys} has signed the newest checkpoint of {self.store_name}:"
                " the key files belong to another safe, or lack the node that signed it. Copy"
                f" {self.signing_key.name} and {self.verify_keys.name} from a backup of this, or"
                f" {self.verify_keys.name} from another node",
            )

    def _sealer(
        self, retired_keys: Callable[[], Collection[str]] = frozenset, later: Later | None = None
    ) -> tuple[ReloadingSealer, ReloadedFile[VerifyKeys]]:
        """Load the sealer, which also signs, and the keys that verify the signatures of all nodes.

        Args:
            retired_keys: returns the retired keys, which a replacement of the ring may lack.
            later: ends groups of values in time; see `GroupSealer`.
        """
        signing_key, trusted = self._signing_keys()
        listed = trusted.current().get(signing_key.id)
        if listed is None:
            raise NightsafeError(
                Code.INVALID,
                f"the key of {self.signing_key} is not in {self.verify_keys}: delivery would refuse every value",
            )
        if listed.until is not None:
            raise NightsafeError(
                Code.INVALID,
                f"the key of {self.signing_key} is retired in {self.verify_keys}: nobody would trust what this node"
                " signs. Make a new node from another node's directory: nightsafe node add",
            )
        ring = ReloadedFile(
            self.public_ring,
            PublicRing.load,
            report_unusable,
            partial(PublicRing.as_successor_of, retired_keys=retired_keys),
        )
        return ReloadingSealer(ring, ReloadingSigner(signing_key, trusted), later), trusted

    def _signing_keys(self) -> tuple[SigningKey, ReloadedFile[VerifyKeys]]:
        """Load this node's signing key, and the keys of all nodes. Without a file, only its own key is trusted."""
        own = SigningKey.load(self.signing_key)

        def load(path: Path) -> VerifyKeys:
            """Return the keys in the file."""
            return VerifyKeys.load(path) if path.exists() else VerifyKeys([own.verify_key])

        return own, ReloadedFile(self.verify_keys, load, _report_unusable_keys)


def report_unusable(error: NightsafeError) -> None:
    """Log that the new version of a key file cannot be used."""
    _log.error("ring.not_taken_up", reason=error.problems[0].detail)


def reloading_verifier(path: Path) -> ReloadingVerifier:
    """Return the keys in a file, which is read again whenever it changes.

    Raises:
        NightsafeError: INVALID, if the file cannot be used.
    """
    return ReloadingVerifier(ReloadedFile(path, VerifyKeys.load, _report_unusable_keys))


def _report_unusable_keys(error: NightsafeError) -> None:
    """Log that the new version of the file of verify keys cannot be used."""
    _log.error("verify_keys.not_taken_up", reason=error.problems[0].detail)


def _make_keys(directory: DataDirectory) -> IdentityKey:
    """Create all keys in directories of mode 0700, and return the identity key.

    The private ring is in a directory that serving does not read.
    """
    # Only here does one process have the private ring and all other keys in memory.
    from nightsafe.sealing.rings.private_ring import PrivateRing  # serving must not load this
    from nightsafe.sealing.rings.ring_signer import public_ring

    for folder in (directory.public_ring.parent, directory.private_ring.parent):
        folder.mkdir(mode=0o700)
    ring, signing_key = PrivateRing.generate(), SigningKey.generate()
    ring.save(directory.private_ring)
    public_ring(ring).save(directory.public_ring)
    signing_key.save(directory.signing_key)
    VerifyKeys([signing_key.verify_key]).save(directory.verify_keys)
    identity_key = IdentityKey.generate()
    identity_key.save(directory.identity_key)
    return identity_key
