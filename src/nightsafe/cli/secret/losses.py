"""What a change of secrets would lose, and whether that is agreed to.

A value that is replaced by one of its kind is an everyday rotation. To delete a secret, or to put something of
another kind in its place, breaks the script that reads it when it was not meant.
"""

from collections.abc import Iterable
from typing import Any

from nightsafe.cli.secret.sources.declared import Declared, Fields
from nightsafe.cli.secret.views import algorithm_words
from nightsafe.cli.settings.remote import Remote
from nightsafe.cli.terminal.confirm import confirm
from nightsafe.client import NotFoundError, Secret, SecretKey


def is_of_kind(fields: Fields, there: Secret) -> bool:
    """Whether a secret that is to be put is of the type, algorithm, format and usages of one that is there."""
    return _public(fields) == _public_of(there)


def confirm_put(remote: Remote, name: str, fields: Fields, *, yes: bool) -> None:
    """Ask before one secret takes the place of one of another kind; with `yes` nothing is looked up.

    Raises:
        CommandError, click.Abort: as `confirm`.
        APIError: when what is there cannot be seen.
    """
    if yes:
        return
    try:
        there = remote.client.workers.scripts.secrets.get(name, **remote.place)
    except NotFoundError:
        return
    _confirm(remote.script, {name: fields}, [there])


def confirm_all(remote: Remote, changes: Declared, *, yes: bool) -> None:
    """The same for several secrets, of which those that are None are deleted."""
    if yes:
        return
    _confirm(
        remote.script,
        changes,
        remote.client.workers.scripts.secrets.list(remote.script, account_id=remote.account_id),
    )


def confirm_known(script: str, changes: Declared, there: Iterable[Secret], *, yes: bool) -> None:
    """The same where it is known what is there."""
    if not yes:
        _confirm(script, changes, there)


def _confirm(script: str, changes: Declared, there: Iterable[Secret]) -> None:
    """Ask, if anything would be lost."""
    deleted, replaced = [], []
    for found in there:
        if found.name not in changes:
            continue
        fields = changes[found.name]
        if fields is None:
            deleted.append(found.name)
        elif not is_of_kind(fields, found):
            replaced.append(f"{found.name}, {_words(*_public_of(found))}, by {_words(*_public(fields))}")
    parts = [f"delete {', '.join(deleted)}"] if deleted else []
    parts += [f"replace {one}" for one in replaced]
    if parts:
        what = " and ".join(parts)
        confirm(f"{what[0].upper()}{what[1:]}{',' if replaced else ''} of {script}?", yes=False)


def _words(kind: str, algorithm: object = None, key_format: str = "", usages: Iterable[str] = ()) -> str:
    """A kind in a few words."""
    if kind == "secret_text":
        return "a text"
    return f"a key ({algorithm_words(algorithm)}, {key_format}, for {', '.join(sorted(usages)) or 'nothing'})"


def _public(fields: Fields) -> tuple[Any, ...]:
    """What of a declared secret is shown when it is there."""
    if fields["type"] == "secret_text":
        return ("secret_text",)
    return ("secret_key", fields.get("algorithm"), fields.get("format"), set(fields.get("usages") or ()))


def _public_of(secret: Secret) -> tuple[Any, ...]:
    """What is shown of one that is there."""
    if not isinstance(secret, SecretKey):
        return ("secret_text",)
    return ("secret_key", secret.algorithm, secret.format, set(secret.usages))
