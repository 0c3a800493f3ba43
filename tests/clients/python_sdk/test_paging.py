"""Lists that the SDK reads page by page: each ends, and has every item once and in order."""

from collections.abc import Callable
from typing import Any

from cloudflare import Cloudflare
from tests.clients.python_sdk.tools.settling import gathered
from tests.clients.python_sdk.tools.workers import add_version, upload
from tests.server import ACCOUNT


async def pages_of(listing: Callable[..., Any]) -> list[Any]:
    """Return a list that was read in pages of two, after checking that the default page size gives the same."""
    by_twos = await gathered(listing(account_id=ACCOUNT, per_page=2))
    assert by_twos == await gathered(listing(account_id=ACCOUNT))
    return by_twos


async def test_versions_and_deployments_are_paged(either: Any, client: Cloudflare, absent_script: str) -> None:
    """Versions and deployments are complete in every page size; deployable versions are one page."""
    upload(client, absent_script)
    made = [add_version(client, absent_script)["id"] for _ in range(4)]
    for number in range(4):
        upload(client, absent_script, tags=[f"t{number}"])
    at = either.workers

    def of_script(call: Callable[..., Any]) -> Callable[..., Any]:
        """Bind a listing to this script."""
        return lambda **query: call(absent_script, **query)

    versions = await pages_of(of_script(at.scripts.versions.list))
    deployments = await pages_of(of_script(at.scripts.deployments.list))
    beta = await pages_of(of_script(at.beta.workers.versions.list))
    deployable = await gathered(at.scripts.versions.list(absent_script, account_id=ACCOUNT, deployable=True))

    assert [*range(9, 0, -1)] == [version.number for version in versions]
    assert [version.id for version in versions] == [version.id for version in beta]
    assert [version.id for version in versions] == [version.id for version in deployable]
    assert 5 == len({deployment.id for deployment in deployments})
    assert set(made) <= {version.id for version in versions}


async def test_workers_are_paged_and_sorted(either: Any, client: Cloudflare, absent_script: str) -> None:
    """Workers are listed by their last deployment, newest first, or by name."""
    names = [f"{absent_script}-{number}" for number in range(5)]
    for name in names:
        upload(client, name)
    workers = either.workers.beta.workers

    listed = await gathered(workers.list(account_id=ACCOUNT, per_page=100))
    by_name = await gathered(workers.list(account_id=ACCOUNT, order_by="name", order="asc", per_page=100))

    assert names[::-1] == [worker.name for worker in listed if worker.name in names]
    assert len(listed) == len({worker.id for worker in listed}) == len(by_name)
    assert names == [worker.name for worker in by_name if worker.name in names]
    for name in names:
        client.workers.scripts.delete(name, account_id=ACCOUNT)


async def test_projects_and_stores_are_paged(either: Any, client: Cloudflare) -> None:
    """Pages projects, stores and the secrets of a store are complete in every page size."""
    names = [f"paged-{number}" for number in range(5)]
    store = client.secrets_store.stores.create(account_id=ACCOUNT, name="paged")
    assert store is not None
    secrets: Any = [{"name": name, "value": "x", "scopes": ["workers"]} for name in names]
    client.secrets_store.stores.secrets.create(store.id, account_id=ACCOUNT, body=secrets)
    for name in names:
        client.pages.projects.create(account_id=ACCOUNT, name=name, production_branch="main")

    projects = [project.name for project in await pages_of(either.pages.projects.list)]
    stores = await pages_of(either.secrets_store.stores.list)
    held = await pages_of(lambda **query: either.secrets_store.stores.secrets.list(store.id, **query))

    assert names == [name for name in projects if name in names]
    assert [store.id] == [listed.id for listed in stores]
    assert names == [secret.name for secret in held]
    client.secrets_store.stores.delete(store.id, account_id=ACCOUNT, force=True)
    for name in names:
        client.pages.projects.delete(name, account_id=ACCOUNT)
