"""`client.workers.scripts.secrets`: the five calls, with both kinds of secret and unusual names."""

import pytest
from tests.clients.names import NAMES, shortened
from tests.clients.node.tools import TypeScript
from tests.clients.python_sdk.tools.keys import fresh_keys
from tests.clients.python_sdk.tools.keys import shown as shown_key
from tests.clients.stored_values import opened
from tests.clients.typescript_sdk.calls import Resource, here, secret, shown
from tests.clients.wire.talk import Wire
from tests.server import Server


@pytest.fixture
def secrets(typescript: TypeScript) -> Resource:
    """Return the resource."""
    return Resource(typescript, "workers.scripts.secrets")


def test_a_secret_text_is_put_read_and_deleted(server: Server, secrets: Resource, script: str) -> None:
    """A secret_text can be put, read, listed and deleted; no answer has its text."""
    for url_encoded in (True, False):
        at = here(script_name=script, url_encoded=url_encoded)
        assert shown("a/b%2F") == secrets.call("update", script, here(**secret("a/b%2F", "a value")))
        assert shown("a/b%2F") == secrets.call("get", "a/b%2F", at)
        assert [shown("a/b%2F")] == secrets.call("list", script, here())
        assert {"a/b%2F": "a value"} == opened(server.safe, script)
        assert secrets.call("delete", "a/b%2F", at) is None
        assert (404, [10056]) == secrets.refused("get", "a/b%2F", at)
    assert [] == secrets.call("list", script, here())


@pytest.mark.parametrize("key_format", ["raw", "pkcs8", "spki", "jwk"])
def test_a_secret_key_is_returned_without_the_key(secrets: Resource, script: str, key_format: str) -> None:
    """A secret_key is returned with its algorithm, format and usages, and without the key."""
    key = fresh_keys()[key_format]
    expected = {"name": "K", **shown_key(key)}

    assert expected == secrets.call("update", script, here(name="K", **key))
    assert expected == secrets.call("get", "K", here(script_name=script))
    assert [expected] == secrets.call("list", script, here())


def test_bulk_update_sets_and_deletes(server: Server, secrets: Resource, script: str) -> None:
    """One call sets and deletes and returns the remaining secrets; an invalid item changes nothing."""
    secrets.call("update", script, here(**secret("OLD", "x")))
    patch = {"A": secret("A", "one"), "B": secret("B", "two"), "OLD": None}

    answer = secrets.call("bulkUpdate", script, here(secrets=patch, version_tags={"release": "1"}))
    bad = {"A": None, "C": secret("C", "x" * 5121)}

    assert {"A": shown("A"), "B": shown("B")} == answer
    assert (400, [10054]) == secrets.refused("bulkUpdate", script, here(secrets=bad))
    assert (400, [10021]) == secrets.refused("bulkUpdate", script, here())
    assert {"A": "one", "B": "two"} == opened(server.safe, script)


@pytest.mark.parametrize("name", NAMES, ids=shortened)
def test_a_secret_of_any_name_is_put_read_and_deleted(secrets: Resource, script: str, name: str) -> None:
    """A secret of this name can be put, read and deleted."""
    assert shown(name) == secrets.call("update", script, here(**secret(name, "x")))
    assert shown(name) == secrets.call("get", name, here(script_name=script))
    assert secrets.call("delete", name, here(script_name=script)) is None
    assert [] == secrets.call("list", script, here())


def test_an_empty_name_is_an_unknown_path(wire: Wire, secrets: Resource, script: str) -> None:
    """The SDK sends a path with a trailing slash, which gives 7003 and 7000 and never 10007."""
    wire.put(script, "kept")
    for method in ("get", "delete"):
        assert (404, [7003, 7000]) == secrets.refused(method, "", here(script_name=script))
    assert ["kept"] == wire.names(script)


def test_each_call_for_a_missing_script_is_10007(secrets: Resource, absent_script: str) -> None:
    """Each of the five calls gives 10007."""
    at = here(script_name=absent_script)
    for method, *args in (
        ("update", absent_script, here(**secret("S", "x"))),
        ("list", absent_script, here()),
        ("bulkUpdate", absent_script, here(secrets={"S": None})),
        ("get", "S", at),
        ("delete", "S", at),
    ):
        assert (404, [10007]) == secrets.refused(str(method), *args)
