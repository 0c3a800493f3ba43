"""What is kept of holders and their entries, and the values in them as the delivery side would open them."""

import json
from typing import Any

from tests.unit.api.driver import ACCOUNT, Api, keys, verifier

from nightsafe.sealing.context import Context
from nightsafe.sealing.opener import RecordOpener
from nightsafe.sealing.sealer import SigningSealer
from nightsafe.store.holding import Entry, Kind
from nightsafe.workers.seal import place_of

SPREAD = (b"content-type", b"text/plain;charset=UTF-8")
"""How wrangler labels the JSON of its commands for Pages and the Secrets Store."""


def entries(api: Api, kind: Kind, name: str) -> dict[tuple[str, str], Entry]:
    """Every entry of a holder, by slot and name."""
    holder = api.run(api.store.holder(ACCOUNT, kind, name))
    assert holder is not None
    return {(entry.slot, entry.name): entry for entry in api.run(api.store.entries(ACCOUNT, holder.id))}


def opened(api: Api, kind: Kind, holder: str, name: str, slot: str = "") -> bytes:
    """The value of a secret, which opens in its own place alone."""
    entry = entries(api, kind, holder)[slot, name]
    assert entry.sealed is not None
    place = place_of(kind, ACCOUNT, holder, slot)
    context = Context(
        account_id=ACCOUNT,
        namespace=place.namespace,
        script=holder,
        name=name,
        kind=entry.kind,
        public=_public(entry),
    )
    return RecordOpener(verifier(), keys()[0]).open(context, entry.sealed).reveal()


def opened_stored(api: Api, store: str, name: str) -> bytes:
    """The value of a secret of a store: signed for its name, sealed to the id that its value came with."""
    entry = entries(api, Kind.SECRETS_STORE, store)["", name]
    assert entry.sealed is not None
    sealed = verifier().verify(_stored(store, name), entry.sealed)
    context = _stored(store, json.loads(entry.shown)["sealed_name"])
    ring, key = keys()
    record = SigningSealer(ring.public(), key).countersign(context, sealed)
    return RecordOpener(verifier(), ring).open(context, record).reveal()


def _stored(store: str, name: str) -> Context:
    """The context of a secret of a store."""
    return Context(account_id=ACCOUNT, namespace="store:", script=store, name=name, kind="secret_text")


def deeds(api: Api) -> list[dict[str, Any]]:
    """The account's log, oldest first."""
    return [json.loads(entry.entry) for _, entry in api.run(api.store.audit_entries(ACCOUNT, 0, 1000))]


def _public(entry: Entry) -> bytes:
    """The public metadata that the value is bound to."""
    if entry.kind != "secret_key":
        return b""
    shown = json.loads(entry.shown)
    del shown["type"]
    return json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()
