"""Short ways to make the values that a store takes, for the tests of every engine."""

import hashlib
import itertools
import json
import os

from nightsafe.store.model import (
    AuditEntry,
    Binding,
    Change,
    Identity,
    Inherit,
    Module,
    ScriptEdit,
    ScriptRef,
    Stamp,
    Upload,
)

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
REF = ScriptRef(ACCOUNT, "worker")
CODE = (b"export default {}",)

_clock = itertools.count(1_700_000_000_000_000)


def shown(name: str, kind: str, **fields: str) -> bytes:
    """What reads give back of a binding."""
    return json.dumps({"name": name, "type": kind, **fields}, separators=(",", ":")).encode()


def secret(name: str, kind: str = "secret_text", sealed: bytes | None = None) -> Binding:
    """A secret with a sealed value of its own."""
    return Binding(name, kind, shown(name, kind), sealed or os.urandom(200), "key-1")


def plain(name: str, kind: str = "plain_text", text: str = "x") -> Binding:
    """A binding that is no secret."""
    return Binding(name, kind, shown(name, kind, text=text))


def stamp(triggered_by: str = "secret", source: str = "api") -> Stamp:
    """A version to be made."""
    return Stamp(
        version_id=os.urandom(16),
        deployment_id=os.urandom(16),
        source=source,
        triggered_by=triggered_by,
        author_id="c" * 32,
        author_email="someone@example.com",
    )


def entry(text: str = "done", account_id: str = ACCOUNT) -> AuditEntry:
    """An audit entry."""
    return AuditEntry(account_id, text.encode(), hashlib.sha256(text.encode()).digest())


def change(edit: ScriptEdit | None = None, *put: Identity, audit: AuditEntry | None = None) -> Change:
    """A change later than every one before."""
    account_id = ACCOUNT if edit is None else edit.ref.account_id
    return Change(at=next(_clock), audit=audit or entry(account_id=account_id), edit=edit, put=put)


def setting(*bindings: Binding, ref: ScriptRef = REF, most: int = 128) -> Change:
    """A change that sets bindings."""
    return change(ScriptEdit(list_secrets=True, ref=ref, stamp=stamp(), set=bindings, max_variables=most))


def dropping(*names: str, ref: ScriptRef = REF, require: bool = True) -> Change:
    """A change that drops secrets."""
    return change(ScriptEdit(list_secrets=True, ref=ref, stamp=stamp(), drop=names, require_drop=require))


def removing(ref: ScriptRef = REF) -> Change:
    """A change that deletes a script."""
    return change(ScriptEdit(list_secrets=True, ref=ref, remove=True))


def module(body: bytes, position: int = 0) -> Module:
    """One file."""
    return Module(f"m{position}.js", "application/javascript+module", hashlib.sha256(body).digest(), body)


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
) -> Change:
    """A change that brings code."""
    code = Upload(
        script_id=os.urandom(16).hex(),
        main_module="m0.js",
        modules=tuple(module(body, position) for position, body in enumerate(bodies)),
        settings=settings,
        script_settings=script_settings,
        keep=frozenset(keep),
        inherits=inherits,
        strict_inherit=strict,
    )
    return change(
        ScriptEdit(
            list_secrets=True,
            ref=ref,
            stamp=stamp("upload"),
            set=bindings,
            drop=drop,
            upload=code,
            max_variables=most,
        )
    )
