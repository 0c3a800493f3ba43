"""Values as the delivery process would see them: opened with the safe's private ring in their contexts."""

import json

from tests.clients.tokens import in_store
from tests.server import Safe

from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.secrets.seal import sealing_ref
from nightsafe.store.collections import Item, Kind
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.sqlite import SqliteStore


def opened(safe: Safe, script: str, namespace: str = "", version: int | None = None) -> dict[str, str]:
    """Return a script's secret texts by name, as of a version number (default: the newest)."""
    ref = ScriptRef(safe.account_id, script, namespace)

    async def read(store: SqliteStore) -> list[Binding]:
        """Return the bindings as they are stored."""
        return await store.bindings(ref, version)

    opener = RecordOpener(_verifier(safe), PrivateRing.load(safe.private_ring))
    return {
        binding.name: bytes(opener.open(_named(ref, binding.name), binding.sealed).reveal()).decode()
        for binding in in_store(safe, read)
        if binding.kind == "secret_text" and binding.sealed is not None
    }


def opened_held(safe: Safe, kind: Kind, collection: str, environment: str = "") -> dict[str, str]:
    """Return a collection's secret texts by name: a Pages project's environment or a script's previews."""
    place = sealing_ref(kind, safe.account_id, collection, environment)
    opener = RecordOpener(_verifier(safe), PrivateRing.load(safe.private_ring))
    return {
        item.name: bytes(opener.open(_named(place, item.name), item.sealed).reveal()).decode()
        for item in _items(safe, kind, collection)
        if item.kind == "secret_text" and item.sealed is not None and item.environment == environment
    }


def opened_stored(safe: Safe, store_id: str) -> dict[str, str]:
    """Return the values of a Secrets Store by name; each is sealed to the id under which it was sent."""
    place = sealing_ref(Kind.SECRETS_STORE, safe.account_id, store_id)
    ring, values = PrivateRing.load(safe.private_ring), {}
    for item in _items(safe, Kind.SECRETS_STORE, store_id):
        assert item.sealed is not None
        opener = RecordOpener(_verifier(safe), ring)
        sealed_name = json.loads(item.shown)["sealed_name"]
        values[item.name] = bytes(
            opener.open_named(_named(place, item.name), _named(place, sealed_name), item.sealed).reveal()
        ).decode()
    return values


def _verifier(safe: Safe) -> VerifyKeys:
    """Return the keys that verify the safe's records."""
    return VerifyKeys.load(safe.path / "keys" / "verify-keys.json")


def _items(safe: Safe, kind: Kind, name: str) -> list[Item]:
    """Return every item of a collection."""

    async def read(store: SqliteStore) -> list[Item]:
        """Return the items as they are stored."""
        collection = await store.collection(safe.account_id, kind, name)
        assert collection is not None
        return await store.items(safe.account_id, collection.id)

    return in_store(safe, read)


def _named(ref: ScriptRef, name: str) -> Context:
    """Return the context of a secret text."""
    return Context(account_id=ref.account_id, namespace=ref.namespace, script=ref.name, name=name, kind="secret_text")
