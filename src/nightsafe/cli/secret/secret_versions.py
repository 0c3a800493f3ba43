"""Reads the version that set each secret, its time and its author, if the server offers this."""

from collections.abc import Mapping
from typing import Any, Final

from nightsafe.cli.settings.remote import Remote
from nightsafe.client import APIStatusError
from nightsafe.client.call import segment

_NO_ROUTE: Final = range(400, 406)


def secret_versions(remote: Remote) -> list[Mapping[str, Any]]:
    """Return the origin of every secret of the script; empty if the server has no such endpoint.

    Raises:
        APIStatusError: if the server fails.
    """
    account, script = segment("account_id", remote.account_id), segment("script_name", remote.script)
    try:
        answer = remote.client.request("GET", f"/accounts/{account}/nightsafe/scripts/{script}/secrets")
    except APIStatusError as error:
        if error.status_code not in _NO_ROUTE:
            raise
        return []
    return [item for item in answer if isinstance(item, dict)] if isinstance(answer, list) else []


def versions_by_secret(remote: Remote) -> dict[str, Mapping[str, Any]]:
    """Return the origins by the secret's name."""
    return {str(item.get("name")): item for item in secret_versions(remote)}
