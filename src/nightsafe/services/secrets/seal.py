"""Seals secrets into the bindings or entries to store, and wipes the values.

Collections (everything that holds values other than script versions) have namespaces of their own in the sealing
context. These contain a colon, so no dispatch namespace can have the same name. The collection's name takes the place
of the script's name.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from nightsafe.bindings.client_sealed import SealedByClient
from nightsafe.bindings.model import Secret
from nightsafe.bundle.model import Bundle
from nightsafe.bundle.signed import sign_bundle
from nightsafe.errors import Code, NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.sealing.encoding import encode
from nightsafe.sealing.interfaces import Sealer, Verifier
from nightsafe.sealing.record import key_id_of
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.secret_value import SecretValue
from nightsafe.services.secrets.client_sealed import check_client_value
from nightsafe.store.collections import Kind
from nightsafe.store.scripts import Binding, ScriptRef

_PROBE = encode(b"nightsafe probe v1")

STORED_KIND = "secret_text"
"""The binding type that a secret of a Secrets Store has for a Worker."""

_NAMESPACES = {Kind.PAGES_PROJECT: "pages", Kind.SECRETS_STORE: "store", Kind.SCRIPT: "preview"}


def sealing_ref(kind: Kind, account_id: str, collection: str, environment: str = "") -> ScriptRef:
    """Return the sealing place of a collection's values, for `Safe.seal`.

    Args:
        kind: the kind of the collection.
        account_id: the account.
        collection: the collection's name.
        environment: the environment in the collection.
    """
    return ScriptRef(account_id, collection, f"{_NAMESPACES[kind]}:{environment}")


class SealedForPlace(Struct, frozen=True):
    """A sealed value with what the store keeps beside it.

    Attributes:
        sealed: the sealed value.
        key_id: the id of the key that it is sealed to.
        digest: `Context.record_digest` for its place.
    """

    sealed: bytes
    key_id: str
    digest: bytes

    @classmethod
    def of(cls, context: Context, sealed: bytes) -> "SealedForPlace":
        """Return a sealed value for a place."""
        return cls(sealed, key_id_of(sealed), context.record_digest(sealed))


class Safe:
    """Seals secrets into bindings. It cannot open them.

    Args:
        sealer: seals to the public ring, and signs.
        verifier: verifies stored records.
    """

    def __init__(self, sealer: Sealer, verifier: Verifier) -> None:
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
            public=secret.public_metadata(),
        )
        try:
            if isinstance(secret.value, SealedByClient):
                sealed = check_client_value(self._sealer.check, context, secret.value)
            else:
                sealed = self._sealer.seal(context, secret.value)
        finally:
            secret.value.wipe()
        digest = context.record_digest(sealed)
        return Binding(secret.name, secret.kind, secret.public_json(), sealed, key_id_of(sealed), digest)

    async def seal_all(self, ref: ScriptRef, secrets: Sequence[Secret]) -> tuple[Binding, ...]:
        """Seal several secrets, and wipe their values.

        Other requests run in between, because sealing one secret holds the interpreter for 0.2 ms.
        """
        sealed = []
        try:
            for secret in secrets:
                sealed.append(self.seal(ref, secret))
                await asyncio.sleep(0)
        finally:
            for secret in secrets:
                secret.value.wipe()
        return tuple(sealed)

    def seal_stored(self, store: ScriptRef, name: str, sealed_name: str, value: SecretValue) -> SealedForPlace:
        """Seal a value of a Secrets Store, and wipe it.

        The value is sealed to the ID of the secret that it first came with, and stated for the secret's name. So a
        process that cannot open the value can give it a second name, and the value still has only names that were
        stated.

        Args:
            store: the store's place.
            name: the secret's name.
            sealed_name: the ID of the secret that this value, or the value it replaces, first came with.
            value: the value; it is always wiped.
        """
        try:
            sealed = self._sealer.seal(_stored_secret_context(store, sealed_name), value)
        finally:
            value.wipe()
        return SealedForPlace.of(_stored_secret_context(store, name), sealed)

    def rename_stored(self, store: ScriptRef, name: str, new_name: str, record: bytes) -> SealedForPlace:
        """Return the same value for another name in the same store.

        Raises:
            NightsafeError: CANNOT_OPEN, if the record was not stated for its current name, so that a record that
                somebody wrote into the database gets no statement; INVALID, if its key accepts no new values.
        """
        sealed = self._verifier.verify(_stored_secret_context(store, name), record)
        self._sealer.check(sealed)
        return SealedForPlace.of(_stored_secret_context(store, new_name), sealed)

    @property
    def ring(self) -> PublicRing:
        """The public key ring in use."""
        return self._sealer.ring

    def check_resealed(self, context: Context, before: bytes, sealed: bytes) -> SealedForPlace:
        """Return a value that was resealed to the primary key, for its place.

        Args:
            context: the place.
            before: the record that it replaces.
            sealed: the new sealed value. Whether it opens, and to the same value, cannot be checked here.

        Raises:
            NightsafeError: CANNOT_OPEN, if the previous record was not stated for this place, so that a record that
                somebody wrote into the database gets no statement; INVALID, if `sealed` is not a sealed value or is
                not sealed to the primary key.
        """
        self._verifier.verify(context, before)
        self._sealer.check(sealed)
        resealed = SealedForPlace.of(context, sealed)
        if resealed.key_id != self.ring.primary.id:
            raise NightsafeError(
                Code.INVALID, f"the value is not sealed to the primary key, which is {self.ring.primary.id}"
            )
        return resealed

    def check_older(self, context: Context, record: bytes) -> SealedForPlace:
        """Return the sealed value in a record of the first form, for its place.

        Raises:
            NightsafeError: CANNOT_OPEN, if no trusted key has signed the record for this place.
        """
        return SealedForPlace.of(context, self._verifier.verify(context, record))

    def check_signer(self) -> None:
        """Check that others trust what this node signs.

        Raises:
            NightsafeError: NODE_NOT_TRUSTED, if its signing key is retired or not listed.
        """
        self._sealer.sign_message(_PROBE)

    def sign(self, bundle: Bundle) -> bytes:
        """Return a signed bundle for delivery processes."""
        return sign_bundle(bundle, self._sealer)


def _stored_secret_context(store: ScriptRef, name: str) -> Context:
    """Return the sealing context of a secret of a Secrets Store."""
    return Context(
        account_id=store.account_id, namespace=store.namespace, script=store.name, name=name, kind=STORED_KIND
    )
