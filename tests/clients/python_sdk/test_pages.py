"""`client.pages.projects`: a project's variables and secrets."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare, NotFoundError
from tests.clients.python_sdk.tools.workers import codes, every, fields
from tests.clients.stored_values import opened_held
from tests.server import ACCOUNT, Server

from nightsafe.store.collections import Kind

_numbers = itertools.count(1)
SHOWN = {"type": "secret_text", "value": ""}


def secret(value: str) -> Any:
    """Return a secret variable."""
    return {"type": "secret_text", "value": value}


@pytest.fixture
def project(client: Cloudflare) -> Iterator[str]:
    """Yield a project with one secret in production."""
    name = f"python-{next(_numbers)}"
    made = client.pages.projects.create(
        account_id=ACCOUNT,
        name=name,
        production_branch="main",
        deployment_configs={"production": {"env_vars": {"S": secret("one")}}},
    )
    assert (name, "main") == (made.name, made.production_branch)
    yield name
    assert client.pages.projects.delete(name, account_id=ACCOUNT) is None


def variables(model: Any) -> dict[str, Any]:
    """Return the variables of each environment."""
    configs = fields(model)["deployment_configs"]
    return {environment: configs[environment]["env_vars"] for environment in ("production", "preview")}


def test_variables_are_set_kept_and_deleted(server: Server, client: Cloudflare, project: str) -> None:
    """`edit` sets, keeps and deletes variables of each environment; no answer has a secret value."""
    projects = client.pages.projects
    change: Any = {
        "production": {"env_vars": {"S": {"type": "secret_text"}, "P": {"type": "plain_text", "value": "shown"}}},
        "preview": {"env_vars": {"S": secret("two"), "T": secret("three")}, "compatibility_date": "2026-01-01"},
    }

    edited = projects.edit(project, account_id=ACCOUNT, deployment_configs=change)
    dropped = projects.edit(project, account_id=ACCOUNT, deployment_configs={"preview": {"env_vars": {"T": None}}})

    production = {"P": {"type": "plain_text", "value": "shown"}, "S": SHOWN}
    assert {"production": production, "preview": {"S": SHOWN, "T": SHOWN}} == variables(edited)
    assert {"production": production, "preview": {"S": SHOWN}} == variables(dropped)
    assert fields(dropped) == fields(projects.get(project, account_id=ACCOUNT))
    assert "2026-01-01" == fields(dropped)["deployment_configs"]["preview"]["compatibility_date"]
    assert {"S": "one"} == opened_held(server.safe, Kind.PAGES_PROJECT, project, "production")
    assert {"S": "two"} == opened_held(server.safe, Kind.PAGES_PROJECT, project, "preview")
    listed = every(projects.list(account_id=ACCOUNT, per_page=1))
    assert fields(dropped) in fields(listed)


def test_invalid_projects_have_codes(client: Cloudflare, project: str) -> None:
    """Duplicate, absent, renamed and deployed projects, and a secret without a value, each get their code."""
    projects = client.pages.projects
    new: Any = {"account_id": ACCOUNT, "production_branch": "main"}
    keep: Any = {"production": {"env_vars": {"NONE": {"type": "secret_text"}}}}
    source: Any = {"type": "github", "config": {}}
    at: Any = {"project_name": project, "account_id": ACCOUNT}
    calls: list[tuple[int, Callable[[], Any]]] = [
        (8000002, lambda: projects.create(**new, name=project)),
        (10021, lambda: projects.create(**new, name="No Name")),
        (10021, lambda: projects.edit(**at, deployment_configs=keep)),
        (10015, lambda: projects.edit(**at, name=f"{project}-2")),
        (10015, lambda: projects.edit(**at, source=source)),
        (10015, lambda: projects.purge_build_cache(**at)),
        (10015, lambda: projects.get_upload_token(**at)),
        (10015, lambda: projects.deployments.create(**at)),
        (10015, lambda: projects.deployments.get("some", **at)),
        (10015, lambda: projects.deployments.rollback("some", **at)),
        (10015, lambda: projects.domains.create(**at, name="example.com")),
        (10015, lambda: projects.domains.get("example.com", **at)),
    ]
    for code, call in calls:
        with pytest.raises(BadRequestError) as raised:
            call()
        assert (400, [code]) == codes(raised.value)
    for absent in (projects.get, projects.edit, projects.delete):
        with pytest.raises(NotFoundError) as unknown:
            absent("nowhere", account_id=ACCOUNT)
        assert (404, [8000007]) == codes(unknown.value)
    assert {"production": {"S": SHOWN}, "preview": {}} == variables(projects.get(project, account_id=ACCOUNT))


def test_deployments_and_domains_are_empty(client: Cloudflare, project: str) -> None:
    """Deployments and domains are empty lists."""
    projects = client.pages.projects
    assert [] == every(projects.deployments.list(project, account_id=ACCOUNT))
    assert [] == every(projects.domains.list(project, account_id=ACCOUNT))
