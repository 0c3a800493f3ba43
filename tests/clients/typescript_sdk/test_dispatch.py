"""`client.workersForPlatforms.dispatch.namespaces` and the scripts in them."""

import itertools
from collections.abc import Iterator

import pytest
from tests.clients.node.tools import TypeScript
from tests.clients.stored_values import opened
from tests.clients.typescript_sdk.calls import NO_TYPE, Resource, file, form, here, secret, shown
from tests.server import Server

_numbers = itertools.count(1)


@pytest.fixture
def namespaces(typescript: TypeScript) -> Resource:
    """Return the resource."""
    return Resource(typescript, "workersForPlatforms.dispatch.namespaces")


@pytest.fixture
def namespace(namespaces: Resource) -> Iterator[str]:
    """Yield a namespace with the script `user`, which has one secret."""
    name = f"typescript-{next(_numbers)}"
    assert name == namespaces.call("create", here(name=name))["namespace_name"]
    namespaces.call("scripts.update", "user", form(secret("S", "one")) | {"dispatch_namespace": name}, NO_TYPE)
    yield name
    namespaces.call("scripts.delete", "user", here(dispatch_namespace=name, force=True))
    assert namespaces.call("delete", name, here()) is None


def test_a_used_namespace_is_not_deleted(namespaces: Resource, namespace: str) -> None:
    """`get` and `list` return the same namespace; its deletion while in use and its name are refused."""
    got = namespaces.call("get", namespace, here())
    assert (namespace, 1) == (got["namespace_name"], got["script_count"])
    assert got in namespaces.call("list", here())
    assert (400, [100123]) == namespaces.refused("delete", namespace, here())
    assert (400, [1003]) == namespaces.refused("create", here(name=namespace))
    broken = here(
        dispatch_namespace=namespace, metadata={"main_module": "worker.js"}, files=[file("worker.js", "1;")]
    )
    assert (400, [10006]) == namespaces.refused("scripts.update", "user", broken)


def test_secrets_of_a_script_in_a_namespace(server: Server, namespaces: Resource, namespace: str) -> None:
    """All five calls work."""
    at = here(dispatch_namespace=namespace)
    at_user = at | {"script_name": "user"}

    assert shown("a/b") == namespaces.call("scripts.secrets.update", "user", at | secret("a/b", "two"))
    assert shown("a/b") == namespaces.call("scripts.secrets.get", "a/b", at_user)
    assert [shown("S"), shown("a/b")] == namespaces.call("scripts.secrets.list", "user", at)
    patch = {"S": None, "T": secret("T", "three")}
    patched = namespaces.call("scripts.secrets.bulkUpdate", "user", at | {"secrets": patch})
    assert {"T": shown("T"), "a/b": shown("a/b")} == patched
    assert {"T": "three", "a/b": "two"} == opened(server.safe, "user", namespace)
    assert namespaces.call("scripts.secrets.delete", "a/b", at_user) is None
    assert (404, [10056]) == namespaces.refused("scripts.secrets.get", "a/b", at_user)


def test_changes_of_a_script_in_a_namespace_keep_its_secret(
    server: Server, namespaces: Resource, namespace: str
) -> None:
    """Content, settings, bindings and tags can be changed, and all changes keep the secret."""
    at = here(dispatch_namespace=namespace)
    described = file("metadata", '{"main_module": "new.js"}', "application/json")
    wanted = file("settings", '{"compatibility_date": "2026-01-01"}', "application/json")

    content = namespaces.call(
        "scripts.content.update", "user", at | {"metadata": described, "files": [file("new.js", "1;")]}
    )
    settings = namespaces.call("scripts.settings.edit", "user", at | {"settings": wanted})

    assert (settings, "2026-01-01") == (
        namespaces.call("scripts.settings.get", "user", at),
        settings["compatibility_date"],
    )
    assert [shown("S")] == settings["bindings"] == namespaces.call("scripts.bindings.get", "user", at)
    read = namespaces.call("scripts.content.get", "user", at)
    assert "new.js" == read["headers"]["cf-entrypoint"]
    assert ["b", "a"] == namespaces.call("scripts.tags.update", "user", at | {"body": ["b", "a"]})
    assert namespaces.call("scripts.tags.delete", "b", at | {"script_name": "user"}) is None
    assert ["a"] == namespaces.call("scripts.tags.list", "user", at)
    found = namespaces.call("scripts.get", "user", at)
    assert (namespace, content["etag"]) == (found["dispatch_namespace"], found["script"]["etag"])
    assert {"S": "one"} == opened(server.safe, "user", namespace)
    assert (400, [10015]) == namespaces.refused("scripts.assetUpload.create", "user", at | {"manifest": {}})


def test_absent_namespaces_and_scripts_have_codes(namespaces: Resource, namespace: str) -> None:
    """An absent namespace gives 100119 everywhere; an absent script gives 10092 to `get` and 10007 to other calls."""
    nowhere = here(dispatch_namespace="nowhere")
    assert (404, [100119]) == namespaces.refused("get", "nowhere", here())
    assert (404, [100119]) == namespaces.refused("delete", "nowhere", here())
    for method in ("scripts.get", "scripts.secrets.list", "scripts.settings.get", "scripts.tags.list"):
        assert (404, [100119]) == namespaces.refused(method, "user", nowhere)
    at = here(dispatch_namespace=namespace)
    assert (404, [10007]) == namespaces.refused("scripts.secrets.list", "nobody", at)
    assert (404, [10092]) == namespaces.refused("scripts.get", "nobody", at)
