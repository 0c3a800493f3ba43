"""Calls of the TypeScript SDK for one account, and uploads as its users have to write them."""

import json
from typing import Any

import pytest
from tests.clients.node.tools import Refused, TypeScript
from tests.server import ACCOUNT

MODULE = "application/javascript+module"
NO_TYPE = {"headers": {"Content-Type": None}}
"""Options that keep the SDK from sending a form with the content type of JavaScript."""


def file(name: str, text: str, content_type: str = MODULE) -> dict[str, Any]:
    """Return a file as an argument of a call."""
    return {"$file": {"name": name, "type": content_type, "text": text}}


def metadata(*bindings: object, **fields: object) -> dict[str, Any]:
    """Return the metadata of an upload as a file, since the SDK splits an object into fields."""
    described = {"main_module": "worker.js", "bindings": bindings, **fields}
    return file("metadata", json.dumps(described), "application/json")


def form(*bindings: object, code: str = "export default {};", **fields: object) -> dict[str, Any]:
    """Return the parameters of an upload of a small script."""
    return here(metadata=metadata(*bindings, **fields), files=[file("worker.js", code)])


def here(**fields: object) -> dict[str, Any]:
    """Return the parameters of a call for the account."""
    return {"account_id": ACCOUNT, **fields}


def secret(name: str, text: str) -> dict[str, str]:
    """Return a secret text as it is sent."""
    return {"type": "secret_text", "name": name, "text": text}


def shown(name: str) -> dict[str, str]:
    """Return a secret text as the API shows it."""
    return {"type": "secret_text", "name": name}


class Resource:
    """One resource of the SDK, for example `workers.scripts`; `call` runs a method of it or below it."""

    def __init__(self, typescript: TypeScript, path: str) -> None:
        self._typescript = typescript
        self._path = path

    def call(self, method: str, *args: object) -> Any:
        """Return the result of a call."""
        return self._typescript.call(f"{self._path}.{method}", *args)

    def refused(self, method: str, *args: object) -> tuple[int | None, list[int]]:
        """Return the status and the codes of a call that must fail."""
        with pytest.raises(Refused) as raised:
            self.call(method, *args)
        return raised.value.status, raised.value.codes
