"""`client.pages.projects` and `client.secretsStore`."""

from collections.abc import Iterator

import pytest
from tests.clients.node.tools import TypeScript
from tests.clients.opened import opened_held, opened_stored
from tests.clients.typescript_sdk.calls import Resource, here
from tests.server import Server

from nightsafe.store.collections import Kind

SHOWN = {"type": "secret_text", "value": ""}
PROJECT = "typescript"


@pytest.fixture
def projects(typescript: TypeScript) -> Iterator[Resource]:
    """Yield the resource, with a project that has one secret in production."""
    resource = Resource(typescript, "pages.projects")
    configs = {"production": {"env_vars": {"S": {"type": "secret_text", "value": "one"}}}}
    resource.call("create", here(name=PROJECT, production_branch="main", deployment_configs=configs))
    yield resource
    assert resource.call("delete", PROJECT, here()) is None


@pytest.fixture
def stores(typescript: TypeScript) -> Resource:
    """Return the resource."""
    return Resource(typescript, "secretsStore.stores")


@pytest.fixture
def store(stores: Resource) -> Iterator[str]:
    """Yield the id of the account's only store."""
    store_id = stores.call("create", here(name="typescript"))["id"]
    yield store_id
    assert stores.call("delete", store_id, here(force=True)) is None


def new(name: str, value: str) -> dict[str, object]:
    """Return a secret of a store to create."""
    return {"name": name, "value": value, "scopes": ["workers"]}


def test_pages_variables_are_set_kept_and_deleted(server: Server, projects: Resource) -> None:
    """Variables are set, kept and deleted in each environment; `get` and `list` return the same project."""
    change = {
        "production": {"env_vars": {"S": {"type": "secret_text"}, "P": {"type": "plain_text", "value": "shown"}}},
        "preview": {"env_vars": {"S": {"type": "secret_text", "value": "two"}}},
    }
    edited = projects.call("edit", PROJECT, here(deployment_configs=change))
    dropped = projects.call("edit", PROJECT, here(deployment_configs={"production": {"env_vars": {"P": None}}}))

    plain = {"type": "plain_text", "value": "shown"}
    assert {"S": SHOWN, "P": plain} == edited["deployment_configs"]["production"]["env_vars"]
    assert {"S": SHOWN} == dropped["deployment_configs"]["production"]["env_vars"]
    assert dropped == projects.call("get", PROJECT, here())
    assert dropped in projects.call("list", here(per_page=1))
    assert {"S": "one"} == opened_held(server.safe, Kind.PAGES_PROJECT, PROJECT, "production")
    assert {"S": "two"} == opened_held(server.safe, Kind.PAGES_PROJECT, PROJECT, "preview")


def test_pages_deployments_and_domains_are_refused(projects: Resource) -> None:
    """Deployments and domains are empty and cannot be created; an unknown project gives 8000007."""
    at = here(project_name=PROJECT)
    assert [] == projects.call("deployments.list", PROJECT, here())
    assert [] == projects.call("domains.list", PROJECT, here())
    assert (400, [10015]) == projects.refused("deployments.create", PROJECT, here())
    assert (400, [10015]) == projects.refused("deployments.get", "some", at)
    assert (400, [10015]) == projects.refused("domains.create", PROJECT, here(name="example.com"))
    assert (400, [10015]) == projects.refused("purgeBuildCache", PROJECT, here())
    assert (404, [8000007]) == projects.refused("get", "nowhere", here())
    assert (400, [8000002]) == projects.refused("create", here(name=PROJECT, production_branch="main"))


def test_store_secrets_are_created_changed_and_deleted(
    server: Server, stores: Resource, store: str, typescript: TypeScript
) -> None:
    """Secrets are created, listed, read, changed, duplicated and deleted; no answer has a value."""
    at = here(store_id=store)
    made = stores.call("secrets.create", store, here(body=[new("A", "one"), new("B", "two")]))
    first, second = [secret["id"] for secret in made]
    twin = stores.call("secrets.duplicate", first, at | {"name": "TWIN", "scopes": ["workers"]})
    edited = stores.call("secrets.edit", first, at | {"value": "three", "comment": "changed"})

    assert {"A": "three", "B": "two", "TWIN": "one"} == opened_stored(server.safe, store)
    assert ("changed", False) == (edited["comment"], "value" in edited)
    assert [edited, twin] == [stores.call("secrets.get", secret["id"], at) for secret in (edited, twin)]
    assert [edited, made[1], twin] == stores.call("secrets.list", store, here(per_page=1, order="name"))
    assert [made[1]] == stores.call("secrets.list", store, here(search="b"))
    assert made[1] in stores.call("secrets.list", store, here(scopes=["workers"]))
    assert "deleted" == stores.call("secrets.delete", second, at)["status"]
    assert (404, [1001]) == stores.refused("secrets.get", second, at)
    assert (400, [10021]) == stores.refused("secrets.bulkDelete", store, here())
    assert {"secrets": {"quota": 100, "usage": 2}} == typescript.call("secretsStore.quota.get", here())


def test_an_account_has_one_store(stores: Resource, store: str) -> None:
    """A second store is refused, and a used store is deleted only with force."""
    stores.call("secrets.create", store, here(body=[new("A", "one")]))
    assert (400, [1003]) == stores.refused("create", here(name="another"))
    assert (400, [1003]) == stores.refused("delete", store, here())
    assert (400, [1003]) == stores.refused("secrets.create", store, here(body=[new("B", "x"), new("A", "x")]))
    assert [stores.call("get", store, here())] == stores.call("list", here())
    assert (404, [1001]) == stores.refused("get", "0" * 32, here())
