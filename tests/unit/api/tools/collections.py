"""What is kept of collections and their items, and the values in them as the delivery side would open them."""

import json
from typing import Any

from tests.unit.api.tools.driver import ACCOUNT, Api, keys, verifier

from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.services.secrets.seal import place_of
from nightsafe.store.collections import Item, Kind

SPREAD = (b"content-type", b"text/plain;charset=UTF-8")
"""How wrangler labels the JSON of its commands for Pages and the Secrets Store."""


def items(api: Api, kind: Kind, name: str) -> dict[tuple[str, str], Item]:
    """Every item of a collection, by environment and name."""
    collection = api.run(api.store.collection(ACCOUNT, kind, name))
    assert collection is not None
    return {(item.environment, item.name): item for item in api.run(api.store.items(ACCOUNT, collection.id))}


def opened(api: Api, kind: Kind, collection: str, name: str, environment: str = "") -> bytes:
    """The value of a secret, which opens in its own place alone."""
    item = items(api, kind, collection)[environment, name]
    assert item.sealed is not None
    place = place_of(kind, ACCOUNT, collection, environment)
    context = Context(
        account_id=ACCOUNT,
        namespace=place.namespace,
        script=collection,
        name=name,
        kind=item.kind,
        public=_public(item),
    )
    return RecordOpener(verifier(), keys()[0]).open(context, item.sealed).reveal()


def opened_stored(api: Api, store: str, name: str) -> bytes:
    """The value of a secret of a store: signed for its name, sealed to the id that its value came with."""
    item = items(api, Kind.SECRETS_STORE, store)["", name]
    assert item.sealed is not None
    sealed = verifier().verify(_stored(store, name), item.sealed)
    context = _stored(store, json.loads(item.shown)["sealed_name"])
    ring, key = keys()
    record = SigningSealer(ring.public(), key).countersign(context, sealed)
    return RecordOpener(verifier(), ring).open(context, record).reveal()


def _stored(store: str, name: str) -> Context:
    """The context of a secret of a store."""
    return Context(account_id=ACCOUNT, namespace="store:", script=store, name=name, kind="secret_text")


def events(api: Api) -> list[dict[str, Any]]:
    """The account's log, oldest first."""
    return [json.loads(entry.entry) for _, entry in api.run(api.store.audit_entries(ACCOUNT, 0, 1000))]


def _public(item: Item) -> bytes:
    """The public metadata that the value is bound to."""
    if item.kind != "secret_key":
        return b""
    shown = json.loads(item.shown)
    del shown["type"]
    return json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()
