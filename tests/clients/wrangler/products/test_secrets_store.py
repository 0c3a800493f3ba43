"""`wrangler secrets-store`."""

import re
from typing import Any

import pytest
from tests.clients.opened import opened_stored
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Project, Said, together
from tests.server import Server

STORES = SCRIPTS.replace("/workers/scripts", "/secrets_store/stores")
ID = re.compile(r"! \(.*ID: ([0-9a-f]{32})\)")


@pytest.fixture
def server(own_server: Server) -> Server:
    """One whose account is the test's own: an account has one store."""
    return own_server


def test_a_store_and_its_secrets(project: Project) -> None:
    """Create, list, get, update, duplicate and delete; a value goes in and is shown by none of them."""
    store = made(project, "store", "create", f"store-{project.worker}")
    named = ("--name", "KEY", "--scopes", "workers", "--comment", "a comment")
    key = made(project, "secret", "create", store, *named, stdin="hush\n")
    twin = made(project, "secret", "duplicate", store, "--secret-id", key, "--name", "TWIN", "--scopes", "workers")

    assert {"KEY": key, "TWIN": twin} == {name: one["id"] for name, one in secrets(project, store).items()}
    assert {"KEY": "hush", "TWIN": "hush"} == values(project, store)
    [stores, listed, got] = together(
        lambda: run(project, "store", "list"),
        lambda: run(project, "secret", "list", store),
        lambda: run(project, "secret", "get", store, "--secret-id", key),
    )
    assert store in stores.out
    assert [True] * 4 == [word in listed.out for word in ("KEY", key, "TWIN", twin)]
    assert "a comment" in got.out
    changes = ("--value", "hush too", "--comment", "changed")
    assert "changed" in run(project, "secret", "update", store, "--secret-id", key, *changes).out
    assert secrets(project, store)["KEY"]["comment"] == "changed"
    assert {"KEY": "hush too", "TWIN": "hush"} == values(project, store)

    run(project, "secret", "delete", store, "--secret-id", twin)
    assert {"KEY"} == set(secrets(project, store))
    [gone, held] = together(
        lambda: project.refused("secrets-store", "secret", "get", store, "--secret-id", twin, "--remote"),
        lambda: project.refused("secrets-store", "store", "delete", store, "--remote"),
    )
    assert "secret_not_found" in gone.err
    assert "store_not_empty" in held.err
    run(project, "secret", "delete", store, "--secret-id", key)
    run(project, "store", "delete", store)
    assert store not in {one["id"] for one in project.wire.ask("GET", STORES).result}


def test_a_binding_of_a_store(project: Project) -> None:
    """A Worker is deployed with a binding to a secret of the store, and the binding is given back."""
    store = made(project, "store", "create", f"bound-{project.worker}")
    made(project, "secret", "create", store, "--name", "KEY", "--scopes", "workers", stdin="hush")
    bound = {"binding": "FROM_STORE", "store_id": store, "secret_name": "KEY"}
    project.configure(secrets_store_secrets=[bound])

    project.ok("deploy")

    expected = {"type": "secrets_store_secret", "name": "FROM_STORE", "store_id": store, "secret_name": "KEY"}
    assert {"FROM_STORE": expected} == project.bindings()
    assert [] == project.wire.names(project.worker)


def run(project: Project, *arguments: str, stdin: str = "") -> Said:
    """What a command for the server's stores says; without `--remote` it is for this machine's."""
    return project.ok("secrets-store", *arguments, "--remote", stdin=stdin)


def made(project: Project, *arguments: str, stdin: str = "") -> str:
    """The id of what a command made."""
    out = run(project, *arguments, stdin=stdin).out
    found = ID.search(out)
    assert found is not None, out
    return found[1]


def secrets(project: Project, store: str) -> dict[str, dict[str, Any]]:
    """The secrets of a store by name, as the API tells them."""
    return {one["name"]: one for one in project.wire.ask("GET", f"{STORES}/{store}/secrets").result}


def values(project: Project, store: str) -> dict[str, str]:
    """The values of a store's secrets by name, as they are kept."""
    return opened_stored(project.server.safe, store)
