"""`wrangler secrets-store`."""

import re
from typing import Any

import pytest
from tests.clients.stored_values import opened_stored
from tests.clients.wire.talk import SCRIPTS
from tests.clients.wrangler.project import Output, Project, together
from tests.server import Server

STORES = SCRIPTS.replace("/workers/scripts", "/secrets_store/stores")
ID = re.compile(r"! \(.*ID: ([0-9a-f]{32})\)")


@pytest.fixture
def server(own_server: Server) -> Server:
    """Return a server for this test only, since an account has one store."""
    return own_server


@pytest.mark.thorough
def test_store_secrets_are_never_shown(project: Project) -> None:
    """Create, list, get, update, duplicate and delete work, and none of them shows a value."""
    store = created(project, "store", "create", f"store-{project.worker}")
    named = ("--name", "KEY", "--scopes", "workers", "--comment", "a comment")
    key = created(project, "secret", "create", store, *named, stdin="hush\n")
    twin = created(project, "secret", "duplicate", store, "--secret-id", key, "--name", "TWIN", "--scopes", "workers")

    assert {"KEY": key, "TWIN": twin} == {name: secret["id"] for name, secret in secrets(project, store).items()}
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
    assert store not in {listed["id"] for listed in project.wire.ask("GET", STORES).result}


def test_a_worker_may_bind_a_store_secret(project: Project) -> None:
    """A Worker can be deployed with a binding to a secret of the store, and the API returns the binding."""
    store = created(project, "store", "create", f"bound-{project.worker}")
    created(project, "secret", "create", store, "--name", "KEY", "--scopes", "workers", stdin="hush")
    bound = {"binding": "FROM_STORE", "store_id": store, "secret_name": "KEY"}
    project.configure(secrets_store_secrets=[bound])

    project.ok("deploy")

    expected = {"type": "secrets_store_secret", "name": "FROM_STORE", "store_id": store, "secret_name": "KEY"}
    assert {"FROM_STORE": expected} == project.bindings()
    assert [] == project.wire.names(project.worker)


def run(project: Project, *arguments: str, stdin: str = "") -> Output:
    """Run a command with `--remote`; without it wrangler would use the stores of this machine."""
    return project.ok("secrets-store", *arguments, "--remote", stdin=stdin)


def created(project: Project, *arguments: str, stdin: str = "") -> str:
    """Run a command that creates something; return its id."""
    out = run(project, *arguments, stdin=stdin).out
    found = ID.search(out)
    assert found is not None, out
    return found[1]


def secrets(project: Project, store: str) -> dict[str, dict[str, Any]]:
    """Return the secrets of a store by name, as the API shows them."""
    return {secret["name"]: secret for secret in project.wire.ask("GET", f"{STORES}/{store}/secrets").result}


def values(project: Project, store: str) -> dict[str, str]:
    """Return the stored values of a store's secrets by name."""
    return opened_stored(project.server.safe, store)
