"""Calls of the TypeScript SDK about one account, and uploads as its users have to write them."""

import json
from typing import Any

import pytest
from tests.clients.node.tools import Refused, TypeScript
from tests.server import ACCOUNT

MODULE = "application/javascript+module"
NO_TYPE = {"headers": {"Content-Type": None}}
"""Options that keep the SDK from calling a form JavaScript."""


def file(name: str, text: str, content_type: str = MODULE) -> dict[str, Any]:
    """A file among the arguments of a call."""
    return {"$file": {"name": name, "type": content_type, "text": text}}


def metadata(*bindings: object, **fields: object) -> dict[str, Any]:
    """The metadata of an upload as a file: given as an object, the SDK takes it apart into fields."""
    described = {"main_module": "worker.js", "bindings": bindings, **fields}
    return file("metadata", json.dumps(described), "application/json")


def form(*bindings: object, code: str = "export default {};", **fields: object) -> dict[str, Any]:
    """The parameters of an upload of a small script."""
    return here(metadata=metadata(*bindings, **fields), files=[file("worker.js", code)])


def here(**fields: object) -> dict[str, Any]:
    """Parameters of a call on the account."""
    return {"account_id": ACCOUNT, **fields}


def secret(name: str, text: str) -> dict[str, str]:
    """A secret text as it is sent."""
    return {"type": "secret_text", "name": name, "text": text}


def shown(name: str) -> dict[str, str]:
    """What is shown of a secret text."""
    return {"type": "secret_text", "name": name}


class Resource:
    """One resource of the SDK, for example `workers.scripts`; `call` runs a method of it or below it."""

    def __init__(self, typescript: TypeScript, path: str) -> None:
        self._typescript = typescript
        self._path = path

    def call(self, method: str, *args: object) -> Any:
        """The result of a call."""
        return self._typescript.call(f"{self._path}.{method}", *args)

    def refused(self, method: str, *args: object) -> tuple[int | None, list[int]]:
        """Status and codes of a call that must fail."""
        with pytest.raises(Refused) as raised:
            self.call(method, *args)
        return raised.value.status, raised.value.codes
