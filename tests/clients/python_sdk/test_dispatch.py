"""`client.workers_for_platforms.dispatch.namespaces` and the scripts in them."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloudflare import APIStatusError, BadRequestError, Cloudflare, NotFoundError
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.clients.python_sdk.tools.workers import MODULE, codes, every, fields, plain, secret, upload
from tests.clients.stored_values import opened
from tests.server import ACCOUNT, Server

_numbers = itertools.count(1)


@pytest.fixture
def namespace(client: Cloudflare) -> Iterator[str]:
    """Yield a dispatch namespace for this test, which is empty again at its end."""
    name = f"python-{next(_numbers)}"
    namespaces = client.workers_for_platforms.dispatch.namespaces
    assert fields(namespaces.create(account_id=ACCOUNT, name=name))["namespace_name"] == name
    yield name
    namespaces.delete(name, account_id=ACCOUNT)


@pytest.fixture
def at(client: Cloudflare, namespace: str) -> Iterator[dict[str, Any]]:
    """Yield the arguments that select the script `user`, which has one secret."""
    scripts = client.workers_for_platforms.dispatch.namespaces.scripts
    place: dict[str, Any] = {"account_id": ACCOUNT, "dispatch_namespace": namespace}
    described: Any = {"main_module": "worker.js", "bindings": [secret("S", "one")]}
    assert scripts.update("user", **place, metadata=described, files=[MODULE]).id == "user"
    yield {**place, "script_name": "user"}
    scripts.delete("user", **place, force=True)


def test_namespaces_are_created_listed_and_deleted(client: Cloudflare, namespace: str) -> None:
    """Namespaces are created, listed and read; a duplicate name and the deletion of a used namespace are refused."""
    namespaces = client.workers_for_platforms.dispatch.namespaces
    place: Any = {"account_id": ACCOUNT, "dispatch_namespace": namespace}
    with pytest.raises(BadRequestError) as taken:
        namespaces.create(account_id=ACCOUNT, name=namespace)
    namespaces.scripts.update("user", **place, metadata={"main_module": "worker.js"}, files=[MODULE])
    with pytest.raises(BadRequestError) as full:
        namespaces.delete(namespace, account_id=ACCOUNT)

    got = fields(namespaces.get(namespace, account_id=ACCOUNT))
    listed = every(namespaces.list(account_id=ACCOUNT))
    assert ([1003], [100123]) == (codes(taken.value)[1], codes(full.value)[1])
    assert (namespace, 1) == (got["namespace_name"], got["script_count"])
    assert got in fields(listed)
    namespaces.scripts.delete("user", **place)
    assert 0 == fields(namespaces.get(namespace, account_id=ACCOUNT))["script_count"]


def test_secrets_of_a_script_in_a_namespace(server: Server, client: Cloudflare, at: dict[str, Any]) -> None:
    """All five calls work with both kinds of secret, and the values are stored for this script."""
    secrets = client.workers_for_platforms.dispatch.namespaces.scripts.secrets
    without_script = {name: value for name, value in at.items() if name != "script_name"}
    key = fresh_keys()["raw"]

    text = secrets.update(**at, name="a/b%2F", text="two", type="secret_text")
    made = secrets.update(**at, name="K", **key)
    assert {"name": "a/b%2F", "type": "secret_text"} == fields(text)
    assert {"name": "K", **shown(key)} == fields(made)
    assert fields(text) == fields(secrets.get("a/b%2F", **at))
    assert ["K", "S", "a/b%2F"] == [secret.name for secret in every(secrets.list("user", **without_script))]
    wanted: Any = {"S": None, "a/b%2F": None, "T": {"type": "secret_text", "name": "T", "text": "three"}}
    patched = secrets.bulk_update("user", **without_script, secrets=wanted)
    assert {"K", "T"} == set(patched)
    assert {"T": "three"} == opened(server.safe, "user", at["dispatch_namespace"])
    assert secrets.delete("K", **at) is None
    with pytest.raises(NotFoundError) as gone:
        secrets.get("K", **at)
    assert (404, [10056]) == codes(gone.value)


def test_changes_of_a_script_in_a_namespace_keep_its_secret(
    server: Server, client: Cloudflare, at: dict[str, Any]
) -> None:
    """Content, settings, bindings and tags can be changed and read, and all changes keep the secret."""
    scripts = client.workers_for_platforms.dispatch.namespaces.scripts
    bindings: Any = [{"type": "secret_text", "name": "S"}, plain("P", "shown")]
    files = [("new.js", b"export default 1;", "application/javascript+module")]

    edited = scripts.settings.edit(**at, settings={"bindings": bindings, "compatibility_date": "2026-01-01"})
    content = scripts.content.update(**at, metadata={"main_module": "new.js"}, files=files)

    shown_bindings = [plain("P", "shown"), {"type": "secret_text", "name": "S"}]
    assert shown_bindings == fields(edited)["bindings"]
    settings = fields(scripts.settings.get(**at))
    assert (shown_bindings, "2026-01-01") == (settings["bindings"], settings["compatibility_date"])
    assert shown_bindings == fields(every(scripts.bindings.get(**at)))
    read = scripts.content.get(**at)
    assert ("new.js", True) == (read.headers["cf-entrypoint"], b"\r\n\r\nexport default 1;\r\n" in read.read())
    assert ["b", "a"] == every(scripts.tags.update(**at, body=["b", "a"]))
    assert scripts.tags.delete("b", **at) is None
    assert ["a"] == every(scripts.tags.list(**at))
    found = scripts.get(**at)
    assert found is not None
    assert found.script is not None
    assert (at["dispatch_namespace"], "user") == (found.dispatch_namespace, found.script.id)
    assert content.etag == found.script.etag
    assert {"S": "one"} == opened(server.safe, "user", at["dispatch_namespace"])
    with pytest.raises(BadRequestError) as assets:
        scripts.asset_upload.create(**at, manifest={})
    assert (400, [10015]) == codes(assets.value)


def test_a_namespaces_script_is_separate_from_the_accounts(
    server: Server, client: Cloudflare, at: dict[str, Any], absent_script: str
) -> None:
    """A script of the same name in the account has its own secrets and is not deleted with this one."""
    scripts = client.workers_for_platforms.dispatch.namespaces.scripts
    place: Any = {name: value for name, value in at.items() if name != "script_name"}
    upload(client, absent_script, secret("S", "outside"))
    scripts.update(absent_script, **place, metadata={"main_module": "worker.js"}, files=[MODULE])
    scripts.secrets.update(absent_script, **place, name="S", text="inside", type="secret_text")

    assert {"S": "outside"} == opened(server.safe, absent_script)
    assert {"S": "inside"} == opened(server.safe, absent_script, at["dispatch_namespace"])
    scripts.delete(absent_script, **place)
    assert {"S": "outside"} == opened(server.safe, absent_script)


def test_absent_namespaces_and_scripts_have_codes(client: Cloudflare, at: dict[str, Any]) -> None:
    """An absent namespace gives 100119 to every call; an absent script gives 10092 to `get`, else 10007."""
    scripts = client.workers_for_platforms.dispatch.namespaces.scripts

    def calls(place: dict[str, Any]) -> list[Callable[[], Any]]:
        """Return every call for a script."""
        return [
            lambda: scripts.secrets.update(**place, name="S", text="x", type="secret_text"),
            lambda: scripts.secrets.get("S", **place),
            lambda: every(scripts.secrets.list(**place)),
            lambda: scripts.secrets.bulk_update(**place, secrets={}),
            lambda: scripts.secrets.delete("S", **place),
            lambda: scripts.settings.get(**place),
            lambda: scripts.settings.edit(**place, settings={}),
            lambda: scripts.content.get(**place),
            lambda: every(scripts.bindings.get(**place)),
            lambda: every(scripts.tags.list(**place)),
            lambda: every(scripts.tags.update(**place, body=["a"])),
            lambda: scripts.tags.delete("a", **place),
            lambda: scripts.delete(**place),
        ]

    nowhere = {**at, "dispatch_namespace": "nowhere"}
    described: Any = {"main_module": "worker.js"}
    upload_there = lambda: scripts.update(**nowhere, metadata=described, files=[MODULE])  # noqa: E731 - one of several calls
    for call in (*calls(nowhere), upload_there, lambda: scripts.get(**nowhere)):
        assert (404, [100119]) == _refusal(call)
    for call in calls({**at, "script_name": "nobody"}):
        assert (404, [10007]) == _refusal(call)
    assert (404, [10092]) == _refusal(lambda: scripts.get(**{**at, "script_name": "nobody"}))


def _refusal(call: Callable[[], Any]) -> tuple[int, list[int | None]]:
    """Return the status and the codes of a call that must fail."""
    with pytest.raises(APIStatusError) as raised:
        call()
    return codes(raised.value)
