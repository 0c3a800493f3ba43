"""Builders of the values that a store takes, for the tests of every engine."""

import hashlib
import itertools
import json
import os
from typing import Any

import msgspec
from msgspec.structs import replace

from nightsafe.errors import NightsafeError
from nightsafe.sealing.context import Context
from nightsafe.store.bundles import ServedBinding
from nightsafe.store.changes import AuditEntry, Change
from nightsafe.store.collections import Collection, CollectionEdit, Kind
from nightsafe.store.identities import Identity
from nightsafe.store.script_edit import BindingsUpdate, Inherit, NewDeployment, ScriptEdit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Binding, Module, ScriptRef, Upload

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
REF = ScriptRef(ACCOUNT, "worker")
CODE = (b"export default {}",)

_clock = itertools.count(1_700_000_000_000_000)


def shown(name: str, kind: str, **fields: str) -> bytes:
    """Return a binding as reads show it."""
    return json.dumps({"name": name, "type": kind, **fields}, separators=(",", ":")).encode()


def secret(name: str, kind: str = "secret_text", sealed: bytes | None = None) -> Binding:
    """Return a secret with its own random sealed value."""
    return Binding(name, kind, shown(name, kind), sealed or os.urandom(200), "key-1")


def plain(name: str, kind: str = "plain_text", text: str = "x") -> Binding:
    """Return a binding that is not a secret."""
    return Binding(name, kind, shown(name, kind, text=text))


def stamp(triggered_by: str = "secret", source: str = "api", *, deployed: bool = True) -> Stamp:
    """Return the stamp of a new version."""
    return Stamp(
        version_id=os.urandom(16),
        deployment_id=os.urandom(16) if deployed else b"",
        source=source,
        triggered_by=triggered_by,
        author_id="c" * 32,
        author_email="someone@example.com",
    )


def entry(text: str = "done", account_id: str = ACCOUNT) -> AuditEntry:
    """Return an audit entry."""
    return AuditEntry(account_id, msgspec.json.encode({"action": text}))


def change(edit: ScriptEdit | None = None, *put: Identity, audit: AuditEntry | None = None) -> Change:
    """Return a change with a later time than every change before it, and with the digests of its sealed values."""
    account_id = ACCOUNT if edit is None else edit.ref.account_id
    if edit is not None:
        edit = replace(edit, set=tuple(_with_digest(edit.ref, binding) for binding in edit.set))
    return Change(at=next(_clock), audit=audit or entry(account_id=account_id), edit=edit, put=put)


def place_of(ref: ScriptRef, binding: Binding | ServedBinding) -> Context:
    """Return the place of a script's binding, as the tests' values have it: without public metadata."""
    return Context(
        account_id=ref.account_id, namespace=ref.namespace, script=ref.name, name=binding.name, kind=binding.kind
    )


def _with_digest(ref: ScriptRef, binding: Binding) -> Binding:
    """Return a binding as the service hands it to the store: with the digest of its sealed value."""
    try:
        return (
            binding
            if binding.sealed is None
            else replace(binding, digest=place_of(ref, binding).record_digest(binding.sealed))
        )
    except NightsafeError:  # a name that UTF-8 cannot encode, which the store refuses
        return binding


def setting(*bindings: Binding, ref: ScriptRef = REF, most: int = 128) -> Change:
    """Return a change that sets bindings."""
    return change(ScriptEdit(list_secrets=True, ref=ref, stamp=stamp(), set=bindings, max_variables=most))


def dropping(*names: str, ref: ScriptRef = REF, require: bool = True) -> Change:
    """Return a change that drops secrets."""
    return change(ScriptEdit(list_secrets=True, ref=ref, stamp=stamp(), drop=names, require_drop=require))


def removing(ref: ScriptRef = REF) -> Change:
    """Return a change that deletes a script."""
    return change(ScriptEdit(list_secrets=True, ref=ref, remove=True))


def module(body: bytes, position: int = 0) -> Module:
    """Return one file of code."""
    return Module(f"m{position}.js", "application/javascript+module", hashlib.sha256(body).digest(), body)


def code(*bodies: bytes, create: bool = True) -> Upload:
    """Return an upload with one file for each body."""
    return Upload(
        script_id=os.urandom(16).hex(),
        main_module="m0.js",
        modules=tuple(module(body, position) for position, body in enumerate(bodies)),
        create=create,
    )


def upload(  # noqa: PLR0913  # an upload has that many sides
    *bindings: Binding,
    ref: ScriptRef = REF,
    bodies: tuple[bytes, ...] = CODE,
    keep: tuple[str, ...] = (),
    inherits: tuple[Inherit, ...] = (),
    strict: bool = False,
    drop: tuple[str, ...] = (),
    most: int = 128,
    settings: bytes = b"{}",
    script_settings: bytes = b"{}",
    deployed: bool = True,
    made_by: Stamp | None = None,
) -> Change:
    """Return a change that uploads code, bindings and settings."""
    return change(
        ScriptEdit(
            list_secrets=True,
            ref=ref,
            stamp=made_by or stamp("upload", deployed=deployed),
            set=bindings,
            drop=drop,
            upload=code(*bodies),
            bindings_update=BindingsUpdate(keep=frozenset(keep), inherits=inherits, strict=strict),
            settings=SettingsUpdate(settings),
            script_settings=SettingsUpdate(script_settings),
            max_variables=most,
        )
    )


def editing(ref: ScriptRef = REF, **parts: Any) -> Change:
    """Return a change with a `ScriptEdit` of these parts."""
    return change(ScriptEdit(ref=ref, **parts))


def deploying(
    *versions: tuple[bytes, float], ref: ScriptRef = REF, force: bool = False, annotations: bytes = b"{}"
) -> Change:
    """Return a change that deploys existing versions."""
    new = NewDeployment(
        id=os.urandom(16),
        versions=versions,
        source="wrangler",
        author_id="d" * 32,
        author_email="other@example.com",
        annotations=annotations,
        force=force,
    )
    return change(ScriptEdit(ref=ref, deploy=new))


def namespace(name: str, account_id: str = ACCOUNT) -> Change:
    """Return a change that creates a dispatch namespace."""
    at, kind = next(_clock), Kind.DISPATCH_NAMESPACE
    made = Collection(
        account_id=account_id,
        kind=kind,
        name=name,
        id=os.urandom(16).hex(),
        body=b"{}",
        created_on=at,
        modified_on=at,
    )
    collection_edit = CollectionEdit(account_id=account_id, kind=kind, name=name, create=made)
    return Change(at=at, audit=entry(account_id=account_id), collection_edit=collection_edit)
