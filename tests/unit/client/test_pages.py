"""Lists: one page or many, and where they end."""

from typing import Any

import pytest
from tests.unit.client.recorder import ACCOUNT, Either, answer, gathered, settled


def accounts(*names: str, **info: int) -> Any:
    """Return a page of accounts."""
    more: dict[str, Any] = {"result_info": info} if info else {}
    return answer([{"id": name, "name": name} for name in names], **more)


def pages_asked(either: Either) -> list[str]:
    """Return the queries of all requests."""
    return [request.url.partition("?")[2] for request in either.recorder.requests]


async def test_a_list_of_secrets_has_one_page(either: Either) -> None:
    """A list of secrets has one page, which can be iterated and has a `result`."""
    secrets = [{"name": "A", "type": "secret_text"}, {"name": "B", "type": "secret_text"}]
    client = either.over(answer(secrets), answer(None))
    page = await settled(client.workers.scripts.secrets.list("s", account_id=ACCOUNT))

    assert ["A", "B"] == [secret.name for secret in page.result] == [secret.name for secret in await gathered(page)]
    assert not page.has_next_page()
    with pytest.raises(RuntimeError, match="No next page"):
        await settled(page.get_next_page())
    assert [] == await gathered(client.workers.scripts.secrets.list("s", account_id=ACCOUNT))


async def test_pages_are_requested_until_one_is_empty(either: Either) -> None:
    """Without a count, pages are requested until one is empty; the given query stays in each request."""
    client = either.over(accounts("a", "b"), accounts("c"), accounts())

    assert ["a", "b", "c"] == [account.id for account in await gathered(client.accounts.list(per_page=2))]
    assert ["per_page=2", "per_page=2&page=2", "per_page=2&page=3"] == pages_asked(either)


@pytest.mark.parametrize(
    "info", [{"page": 2, "total_pages": 2}, {"page": 2, "per_page": 2, "total_count": 3}], ids=["pages", "count"]
)
async def test_no_page_is_asked_for_past_the_last(either: Either, info: dict[str, int]) -> None:
    """When the answer has the number of pages or items, no further page is requested."""
    client = either.over(accounts("a", "b", **{**info, "page": 1}), accounts("c", **info))

    assert 3 == len(await gathered(client.accounts.list()))
    assert ["", "page=2"] == pages_asked(either)


async def test_a_repeated_page_ends_the_list(either: Either) -> None:
    """The same page a second time ends the list, which would otherwise never end."""
    client = either.over(accounts("a", "b"), accounts("a", "b"))

    assert ["a", "b"] == [account.id for account in await gathered(client.accounts.list())]


async def test_pages_can_be_requested_one_by_one(either: Either) -> None:
    """`iter_pages` and `get_next_page` work from any page on."""
    client = either.over(accounts("c"), accounts("d"), accounts())
    page = await settled(client.accounts.list(page=3))

    assert page.has_next_page()
    change_feed = await settled(page.get_next_page())
    assert (["d"], True) == ([account.id for account in change_feed.result], change_feed.has_next_page())
    last = await settled(change_feed.get_next_page())
    assert ([], False) == (last.result, last.has_next_page())
    assert ["page=3", "page=4", "page=5"] == pages_asked(either)


@pytest.mark.parametrize("member", ["items", "deployments"])
async def test_deployments_are_found_under_either_member(either: Either, member: str) -> None:
    """Versions and deployments come in `items`; deployments also under their own name."""
    versions = [{"version_id": "v", "percentage": 100}]
    made = {"id": "d", "created_on": "2026-01-02T03:04:05.678Z", "source": "api", "versions": versions}
    client = either.over(answer({member: [made]}, result_info={"page": 1, "total_pages": 1}))
    page = await settled(client.workers.scripts.deployments.list("s", account_id=ACCOUNT))

    [deployment] = page.result.items
    assert ("d", 2026, [("v", 100)]) == (
        deployment.id,
        deployment.created_on.year,
        [(version.version_id, version.percentage) for version in deployment.versions],
    )
    assert [deployment] == await gathered(page)


async def test_a_version_has_all_fields_of_the_answer(either: Either) -> None:
    """A version has all that the API returns; absent fields are None."""
    whole = {
        "id": "v2",
        "number": 2,
        "metadata": {
            "author_email": "e@x",
            "hasPreview": True,
            "source": "api",
            "created_on": "2026-01-02T03:04:05Z",
        },
        "annotations": {"workers/triggered_by": "secret"},
        "resources": {"bindings": [{"name": "S", "type": "secret_text"}], "script": {"etag": "e"}},
    }
    client = either.over(answer({"items": [{"id": "v2"}]}), answer({"items": []}), answer(whole))
    versions = client.workers.scripts.versions
    [short] = await gathered(versions.list("s", account_id=ACCOUNT))
    version = await settled(versions.get("v2", account_id=ACCOUNT, script_name="s"))

    assert ("v2", None, None) == (short.id, short.number, short.resources)
    assert (2, "e@x", True) == (version.number, version.metadata.author_email, version.metadata.has_preview)
    assert "secret" == version.annotations["workers/triggered_by"]
    assert [{"name": "S", "type": "secret_text"}] == version.resources.bindings


async def test_a_deployment_sends_its_body_and_flag(either: Either) -> None:
    """A deployment sends its body and flag; the SDK's spelling of a note is accepted."""
    made = {
        "id": "d",
        "versions": [],
        "created_on": "2026-01-02T03:04:05Z",
        "source": "api",
        "strategy": "percentage",
    }
    client = either.over(answer(made))
    await settled(
        client.workers.scripts.deployments.create(
            "s",
            account_id=ACCOUNT,
            strategy="percentage",
            versions=({"version_id": version_id, "percentage": 50} for version_id in "ab"),
            force=True,
            annotations={"workers_message": "half"},
        )
    )

    assert "?force=true" in either.recorder.request.url
    assert {
        "strategy": "percentage",
        "versions": [{"version_id": "a", "percentage": 50}, {"version_id": "b", "percentage": 50}],
        "annotations": {"workers/message": "half"},
    } == either.recorder.body
