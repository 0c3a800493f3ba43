"""`client.pages.projects` of the official TypeScript SDK."""

from collections.abc import Iterator

import pytest
from tests.clients.node.tools import TypeScript
from tests.clients.stored_values import opened_held
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
