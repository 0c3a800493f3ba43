"""Values as the delivery process would see them: opened with the safe's private ring in their contexts."""

import json
from collections.abc import Sequence

from tests.clients.tokens import in_store
from tests.server import Safe

from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.verify_keys import VerifyKeys
from nightsafe.services.secrets.seal import sealing_ref
from nightsafe.store.bundles import ServedBinding
from nightsafe.store.collections import Item, Kind
from nightsafe.store.interface import Store
from nightsafe.store.scripts import ScriptRef


def opened(safe: Safe, script: str, namespace: str = "", version: int | None = None) -> dict[str, str]:
    """Return a script's secret texts by name, as of a version number (default: the newest)."""
    ref = ScriptRef(safe.account_id, script, namespace)

    async def read(store: Store) -> Sequence[ServedBinding]:
        """Return the bindings with their records."""
        ids = {one.number: one.id for one in await store.versions(ref, limit=1_000_000)}
        found = await store.full_version(ref, None if version is None else ids[version])
        assert found is not None
        return found.bindings

    opener = RecordOpener(_verifier(safe), PrivateRing.load(safe.private_ring))
    return {
        binding.name: bytes(opener.open(_named(ref, binding.name), binding.record).reveal()).decode()
        for binding in in_store(safe, read)
        if binding.kind == "secret_text" and binding.record is not None
    }


def opened_held(safe: Safe, kind: Kind, collection: str, environment: str = "") -> dict[str, str]:
    """Return a collection's secret texts by name: a Pages project's environment or a script's previews."""
    place = sealing_ref(kind, safe.account_id, collection, environment)
    opener = RecordOpener(_verifier(safe), PrivateRing.load(safe.private_ring))
    return {
        item.name: bytes(opener.open(_named(place, item.name), record).reveal()).decode()
        for item, record in _items(safe, kind, collection)
        if item.kind == "secret_text" and item.environment == environment
    }


def opened_stored(safe: Safe, store_id: str) -> dict[str, str]:
    """Return the values of a Secrets Store by name; each is sealed to the id under which it was sent."""
    place = sealing_ref(Kind.SECRETS_STORE, safe.account_id, store_id)
    ring, values = PrivateRing.load(safe.private_ring), {}
    for item, record in _items(safe, Kind.SECRETS_STORE, store_id):
        opener = RecordOpener(_verifier(safe), ring)
        sealed_name = json.loads(item.shown)["sealed_name"]
        values[item.name] = bytes(
            opener.open_named(_named(place, item.name), _named(place, sealed_name), record).reveal()
        ).decode()
    return values


def _verifier(safe: Safe) -> VerifyKeys:
    """Return the keys that verify the safe's records."""
    return VerifyKeys.load(safe.path / "keys" / "verify-keys.json")


def _items(safe: Safe, kind: Kind, name: str) -> list[tuple[Item, bytes]]:
    """Return every sealed item of a collection with its record."""

    async def read(store: Store) -> list[tuple[Item, bytes]]:
        """Return the items and records as the store gives them."""
        collection = await store.collection(safe.account_id, kind, name)
        assert collection is not None
        records = await store.item_records(safe.account_id, collection.id)
        items = await store.items(safe.account_id, collection.id)
        return [(item, records[item.environment, item.name]) for item in items if item.sealed is not None]

    return in_store(safe, read)


def _named(ref: ScriptRef, name: str) -> Context:
    """Return the context of a secret text."""
    return Context(account_id=ref.account_id, namespace=ref.namespace, script=ref.name, name=name, kind="secret_text")
