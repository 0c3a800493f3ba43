"""The stored items of collections, and their values opened as the delivery process opens them."""

import json
from typing import Any

from tests.unit.api.tools.driver import ACCOUNT, Api, keys, verifier

from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.services.secrets.seal import sealing_ref
from nightsafe.store.collections import Item, Kind

SPREAD = (b"content-type", b"text/plain;charset=UTF-8")
"""The content type that wrangler gives to the JSON of its commands for Pages and the Secrets Store."""


def items(api: Api, kind: Kind, name: str) -> dict[tuple[str, str], Item]:
    """Return every item of a collection, by environment and name."""
    collection = api.run(api.store.collection(ACCOUNT, kind, name))
    assert collection is not None
    return {(item.environment, item.name): item for item in api.run(api.store.items(ACCOUNT, collection.id))}


def record(api: Api, kind: Kind, name: str, item: Item) -> bytes:
    """Return the stored record of an item."""
    collection = api.run(api.store.collection(ACCOUNT, kind, name))
    assert collection is not None
    return api.run(api.store.item_records(ACCOUNT, collection.id))[item.environment, item.name]


def opened(api: Api, kind: Kind, collection: str, name: str, environment: str = "") -> bytes:
    """Return the value of a secret, which opens only in its own place."""
    item = items(api, kind, collection)[environment, name]
    place = sealing_ref(kind, ACCOUNT, collection, environment)
    context = Context(
        account_id=ACCOUNT,
        namespace=place.namespace,
        script=collection,
        name=name,
        kind=item.kind,
        public=_public(item),
    )
    return RecordOpener(verifier(), keys()[0]).open(context, record(api, kind, collection, item)).reveal()


def opened_stored(api: Api, store: str, name: str) -> bytes:
    """Return the value of a stored secret; its record is stated for its name and sealed for its `sealed_name`."""
    item = items(api, Kind.SECRETS_STORE, store)["", name]
    sealed_for = _stored(store, json.loads(item.shown)["sealed_name"])
    stored = record(api, Kind.SECRETS_STORE, store, item)
    return RecordOpener(verifier(), keys()[0]).open_named(_stored(store, name), sealed_for, stored).reveal()


def _stored(store: str, name: str) -> Context:
    """Return the context of a stored secret."""
    return Context(account_id=ACCOUNT, namespace="store:", script=store, name=name, kind="secret_text")


def events(api: Api) -> list[dict[str, Any]]:
    """Return the account's log, oldest first."""
    return [json.loads(entry.entry) for _, entry in api.run(api.store.audit_entries(ACCOUNT, 0, 1000))]


def _public(item: Item) -> bytes:
    """Return the public metadata to which the value is bound."""
    if item.kind != "secret_key":
        return b""
    shown = json.loads(item.shown)
    del shown["type"]
    return json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()
