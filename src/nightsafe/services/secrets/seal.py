"""From a secret to the binding or entry that is stored of it. Values are sealed here and wiped.

What holds values beside scripts' versions has a namespace of its own in the sealing context, with a colon in it,
which no dispatch namespace can be called; its name stands in the place of the script's.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from nightsafe.bindings.client_sealed import SealedByClient
from nightsafe.bindings.model import Secret
from nightsafe.bundle.model import Bundle
from nightsafe.bundle.signed import sign_bundle
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.interfaces import Countersigner, MessageSigner, Sealer, Verifier
from nightsafe.sealing.record import Record, key_id_of
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.secret_value import SecretValue
from nightsafe.services.secrets.client_sealed import countersigned
from nightsafe.store.collections import Kind
from nightsafe.store.scripts import Binding, ScriptRef

STORED_KIND = "secret_text"
"""What a secret of a Secrets Store is to a Worker."""

_SPACES = {Kind.PAGES_PROJECT: "pages", Kind.SECRETS_STORE: "store", Kind.SCRIPT: "preview"}


class CountersigningSealer(Sealer, Countersigner, MessageSigner, Protocol):
    """What seals and signs, signs anew what was sealed before, and signs what the delivery side is told."""

    @property
    def ring(self) -> PublicRing:
        """The ring that it seals with."""
        ...  # pragma: no cover


def place_of(kind: Kind, account_id: str, collection: str, environment: str = "") -> ScriptRef:
    """Where the values of a collection belong, as `Safe.seal` takes it.

    Args:
        kind: of the collection.
        account_id: whose it is.
        collection: its name.
        environment: the part of it.
    """
    return ScriptRef(account_id, collection, f"{_SPACES[kind]}:{environment}")


class Safe:
    """The drawer: secrets go in, sealed bindings come out, and nothing here can open them.

    Args:
        sealer: seals to the public ring and signs.
        verifier: tells what it has signed.
    """

    def __init__(self, sealer: CountersigningSealer, verifier: Verifier) -> None:
        self._sealer = sealer
        self._verifier = verifier

    def seal(self, ref: ScriptRef, secret: Secret) -> Binding:
        """Seal one secret for one script, and wipe its value."""
        context = Context(
            account_id=ref.account_id,
            namespace=ref.namespace,
            script=ref.name,
            name=secret.name,
            kind=secret.kind,
            public=secret.public(),
        )
        try:
            if isinstance(secret.value, SealedByClient):
                record = countersigned(self._sealer.countersign, context, secret.value)
            else:
                record = self._sealer.seal(context, secret.value)
        finally:
            secret.value.wipe()
        return Binding(secret.name, secret.kind, secret.shown(), record, key_id_of(record))

    async def seal_all(self, ref: ScriptRef, secrets: Sequence[Secret]) -> tuple[Binding, ...]:
        """Seal several, letting other requests run in between: each holds the interpreter for 0.2 ms."""
        sealed = []
        try:
            for secret in secrets:
                sealed.append(self.seal(ref, secret))
                await asyncio.sleep(0)
        finally:
            for secret in secrets:
                secret.value.wipe()
        return tuple(sealed)

    def seal_stored(self, store: ScriptRef, name: str, sealed_name: str, value: SecretValue) -> bytes:
        """Seal a value of a Secrets Store, and wipe it; gives the record.

        It is sealed to the id under which it came and signed for its name: so it can get a second name from a
        process that cannot open it, and still has no other name than those that were signed.

        Args:
            store: the store's place.
            name: of the secret.
            sealed_name: the id of the secret with which this value, or the one it replaces, first came.
            value: wiped, whatever happens.
        """
        try:
            record = self._sealer.seal(_stored(store, sealed_name), value)
        finally:
            value.wipe()
        return self._sealer.countersign(_stored(store, name), Record.parse(record).sealed)

    def rename_stored(self, store: ScriptRef, name: str, new_name: str, record: bytes) -> bytes:
        """The record of the same value under another name of the same store.

        Raises:
            NightsafeError: CANNOT_OPEN, when the record was not signed for the name it is found under: nothing that
                somebody put into the database is vouched for; INVALID, when its key takes no new values.
        """
        sealed = self._verifier.verify(_stored(store, name), record)
        return self._sealer.countersign(_stored(store, new_name), sealed)

    @property
    def ring(self) -> PublicRing:
        """The public ring as it is now."""
        return self._sealer.ring

    def countersign_again(self, context: Context, before: bytes, sealed: bytes) -> bytes:
        """The record of a value that was sealed anew to the primary key.

        Args:
            context: the place it is signed for.
            before: the record it takes the place of.
            sealed: any bytes at all. Whether they open, and to the same value, cannot be told here.

        Raises:
            NightsafeError: CANNOT_OPEN, when the record of before was not signed for this place: nothing that
                somebody put into the database gets a signature by this way; INVALID, when it is no sealed value, or
                not under the primary key.
        """
        self._verifier.verify(context, before)
        record = self._sealer.countersign(context, sealed)
        if key_id_of(record) != self.ring.primary.id:
            raise NightsafeError(Code.INVALID, f"not sealed to the primary key, which is {self.ring.primary.id}")
        return record

    def sign(self, bundle: Bundle) -> bytes:
        """A bundle as it is given to the delivery side."""
        return sign_bundle(bundle, self._sealer)


def _stored(store: ScriptRef, name: str) -> Context:
    """The context of a secret of a Secrets Store."""
    return Context(
        account_id=store.account_id, namespace=store.namespace, script=store.name, name=name, kind=STORED_KIND
    )
