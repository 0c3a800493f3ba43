"""Every kind of binding that the SDK knows, with every member that it may have."""

import typing
from collections.abc import Iterable
from typing import Any

import typing_extensions
from cloudflare import Cloudflare
from cloudflare.types.workers import script_update_params
from tests.clients.python_sdk.tools.workers import MODULE, every, fields, plain
from tests.server import ACCOUNT

APART = {"secret_text", "secret_key", "secrets_store_secret", "inherit"}
"""Kinds with tests of their own."""


def sample(hint: Any, name: str) -> Any:
    """A value that a member's type allows."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return arguments[0]
    if typing_extensions.is_typeddict(hint):
        hints = typing_extensions.get_type_hints(hint, vars(script_update_params))
        return {member: sample(one, f"{name} {member}") for member, one in hints.items()}
    if origin is not None and issubclass(origin, Iterable):
        return [sample(arguments[0], name)]
    return {str: f"a {name}", float: 10, int: 60, object: {"nested": [1, "☃", None]}}.get(hint, [f"a {name}"])


def every_binding() -> list[dict[str, Any]]:
    """One binding of each kind, named after it."""
    kinds = typing.get_args(script_update_params.MetadataBinding)
    bindings = [sample(kind, "value") for kind in kinds]
    return [one | {"name": one["type"].upper()} for one in bindings if one["type"] not in APART]


def test_every_kind_comes_back_as_it_went_in(client: Cloudflare, absent_script: str) -> None:
    """From an upload, from its version and from the settings, in the order of their names; each can be inherited."""
    itself = {"service": absent_script, "environment": "production"}  # a service that is bound to must be there
    made = [one | (itself if one["type"] == "service" else {}) for one in every_binding()]
    sent = sorted(made, key=lambda one: one["name"])
    [part] = {one["part"] for one in sent if "part" in one}
    files = [MODULE, (part, b"\0", "application/octet-stream")]
    scripts = client.workers.scripts
    at: Any = {"account_id": ACCOUNT}

    def put(*bindings: Any) -> list[dict[str, Any]]:
        """Upload bindings; gives those there are then."""
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
        *({"type": "inherit", "name": one["name"]} for one in sent), plain("Z", "new")
    )
