"""Every kind of binding in the SDK, with every member that it can have."""

import typing
from collections.abc import Iterable
from typing import Any

import typing_extensions
from cloudflare import Cloudflare
from cloudflare.types.workers import script_update_params
from tests.clients.python_sdk.tools.workers import MODULE, every, fields, plain
from tests.server import ACCOUNT

TESTED_ELSEWHERE = {"secret_text", "secret_key", "secrets_store_secret", "inherit"}
"""Kinds with tests of their own."""


def sample(hint: Any, name: str) -> Any:
    """Return a value that a member's type allows."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return arguments[0]
    if typing_extensions.is_typeddict(hint):
        hints = typing_extensions.get_type_hints(hint, vars(script_update_params))
        return {member: sample(inner, f"{name} {member}") for member, inner in hints.items()}
    if origin is not None and issubclass(origin, Iterable):
        return [sample(arguments[0], name)]
    return {str: f"a {name}", float: 10, int: 60, object: {"nested": [1, "☃", None]}}.get(hint, [f"a {name}"])


def every_binding() -> list[dict[str, Any]]:
    """Return one binding of each kind, named after the kind."""
    kinds = typing.get_args(script_update_params.MetadataBinding)
    bindings = [sample(kind, "value") for kind in kinds]
    return [
        binding | {"name": binding["type"].upper()} for binding in bindings if binding["type"] not in TESTED_ELSEWHERE
    ]


def test_every_kind_of_binding_is_returned_unchanged(client: Cloudflare, absent_script: str) -> None:
    """Bindings are the same in an upload, its version and the settings, sorted by name; each can be inherited."""
    itself = {"service": absent_script, "environment": "production"}  # a bound service must exist
    made = [binding | (itself if binding["type"] == "service" else {}) for binding in every_binding()]
    sent = sorted(made, key=lambda binding: binding["name"])
    [part] = {binding["part"] for binding in sent if "part" in binding}
    files = [MODULE, (part, b"\0", "application/octet-stream")]
    scripts = client.workers.scripts
    at: Any = {"account_id": ACCOUNT}

    def put(*bindings: Any) -> list[dict[str, Any]]:
        """Upload bindings; return the script's bindings."""
        described: Any = {"main_module": "worker.js", "bindings": bindings}
        scripts.update(absent_script, **at, metadata=described, files=files, bindings_inherit="strict")
        settings = scripts.script_and_version_settings.get(absent_script, **at)
        shown: list[dict[str, Any]] = fields(settings)["bindings"]
        return shown

    assert len(sent) >= 34
    assert sent == put(*sent)
    [version] = every(scripts.versions.list(absent_script, **at))
    assert sent == fields(version)["resources"]["bindings"]
    assert [*sent, plain("Z", "new")] == put(
        *({"type": "inherit", "name": binding["name"]} for binding in sent), plain("Z", "new")
    )
