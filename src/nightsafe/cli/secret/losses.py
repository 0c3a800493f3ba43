"""Asks for a confirmation before a change of secrets loses something.

Replacing a value by one of the same kind is an everyday rotation and needs no question. Deleting a secret by mistake,
or replacing it by one of another kind, breaks the script that reads it.
"""

from collections.abc import Iterable
from typing import Any

from nightsafe.cli.secret.sources.declared import Declared, Fields
from nightsafe.cli.secret.views import describe_algorithm
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.confirm import confirm
from nightsafe.client import NotFoundError, Secret, SecretKey


def is_of_kind(fields: Fields, existing: Secret) -> bool:
    """Return whether a new secret has the same type, algorithm, format and usages as an existing one."""
    return _public_fields(fields) == _public_fields_of(existing)


def confirm_put(remote: Remote, name: str, fields: Fields, *, yes: bool) -> None:
    """Ask before one secret replaces one of another kind. With `yes`, send no request.

    Raises:
        CommandError, click.Abort: as for `confirm`.
        APIError: if the existing secret cannot be read.
    """
    if yes:
        return
    try:
        existing = remote.client.workers.scripts.secrets.get(name, **remote.script_arguments)
    except NotFoundError:
        return
    _confirm(remote.script, {name: fields}, [existing])


def confirm_all(remote: Remote, changes: Declared, *, yes: bool) -> None:
    """Ask like `confirm_put`, for several changes; None deletes a secret."""
    if yes:
        return
    _confirm(
        remote.script,
        changes,
        remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id),
    )


def confirm_known(script: str, changes: Declared, existing: Iterable[Secret], *, yes: bool) -> None:
    """Ask like `confirm_all`, with a known list of the existing secrets."""
    if not yes:
        _confirm(script, changes, existing)


def _confirm(script: str, changes: Declared, existing: Iterable[Secret]) -> None:
    """Ask if the changes would lose anything."""
    deleted, replaced = [], []
    for current in existing:
        if current.name not in changes:
            continue
        fields = changes[current.name]
        if fields is None:
            deleted.append(current.name)
        elif not is_of_kind(fields, current):
            old, new = _describe_kind(*_public_fields_of(current)), _describe_kind(*_public_fields(fields))
            replaced.append(f"{current.name}, {old}, by {new}")
    parts = [f"delete {', '.join(deleted)}"] if deleted else []
    parts += [f"replace {replacement}" for replacement in replaced]
    if parts:
        question = " and ".join(parts)
        confirm(f"{question[0].upper()}{question[1:]}{',' if replaced else ''} of {script}?", yes=False)


def _describe_kind(kind: str, algorithm: object = None, key_format: str = "", usages: Iterable[str] = ()) -> str:
    """Return the kind of a secret in a few words."""
    if kind == "secret_text":
        return "a text"
    return f"a key ({describe_algorithm(algorithm)}, {key_format}, for {', '.join(sorted(usages)) or 'nothing'})"


def _public_fields(fields: Fields) -> tuple[Any, ...]:
    """Return the public fields of a declared secret."""
    if fields["type"] == "secret_text":
        return ("secret_text",)
    return ("secret_key", fields.get("algorithm"), fields.get("format"), set(fields.get("usages") or ()))


def _public_fields_of(secret: Secret) -> tuple[Any, ...]:
    """Return the public fields of an existing secret."""
    if not isinstance(secret, SecretKey):
        return ("secret_text",)
    return ("secret_key", secret.algorithm, secret.format, set(secret.usages))
