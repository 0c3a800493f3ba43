"""Concurrent requests that change the same object: each request's own changes are kept."""

import asyncio
import json
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, JSON, SCRIPTS, Answer, Api, Exchange, File, form, form_type, scope_of

HERE = f"/client/v4/accounts/{ACCOUNT}"
WORKER = f"{HERE}/workers/workers/worker"
SPACE = f"{HERE}/workers/dispatch/namespaces"
TAGS = f"{SPACE}/space/scripts/worker/tags"
MODULE = {"name": "a.js", "content_type": "application/javascript+module", "content_base64": "YQ=="}

Request = tuple[str, str, Any]


@pytest.fixture
def worker(own_api: Api) -> Api:
    """Return an API with a script `worker`, and another of that name in the dispatch namespace `space`."""
    assert own_api.upload("worker").status == 200
    assert own_api.json("POST", SPACE, {"name": "space"}).status == 200
    body = form(File("metadata", b'{"main_module":"a.js"}', "application/json", as_file=False), File("a.js"))
    assert own_api.send("PUT", f"{SPACE}/space/scripts/worker", body, [form_type()]).status == 200
    return own_api


def together(api: Api, *requests: Request) -> list[Answer | None]:
    """Send all requests before any is answered; return the answers."""

    async def ask(method: str, path: str, value: Any) -> Answer | None:
        """Send one request."""
        parts = [] if value is None else [json.dumps(value).encode()]
        exchange = Exchange(scope_of(method, path, [api.bearer, JSON]), parts)
        await api.app(exchange.scope, exchange.receive, exchange.send)
        return exchange.answer

    async def ask_all() -> list[Answer | None]:
        """Send all requests."""
        return await asyncio.gather(*(ask(*request) for request in requests))

    return api.run(ask_all())


def results(api: Api, *requests: Request) -> list[Any]:
    """Send the requests together; return their results, because none is refused for another's sake."""
    return [answer.result for answer in together(api, *requests) if answer is not None]


def test_concurrent_changes_of_tags_are_all_kept(worker: Api) -> None:
    """Every tag that was put is present, and the tag that was deleted is not."""
    assert worker.json("PUT", TAGS, ["old"]).status == 200
    tags = [f"t{number}" for number in range(9)]

    answers = results(worker, *(("PUT", f"{TAGS}/{tag}", None) for tag in tags), ("DELETE", f"{TAGS}/old", None))

    assert 10 == len(answers)
    assert tags == sorted(worker.send("GET", TAGS).result)


def test_an_existing_tag_can_be_put_at_the_limit(worker: Api) -> None:
    """A tag that the script already has can be put again at the limit of tags."""
    tags = [f"t{number}" for number in range(10)]
    assert worker.json("PUT", TAGS, tags).status == 200

    assert tags == worker.send("PUT", f"{TAGS}/t3").result
    assert (400, [10021]) == worker.send("PUT", f"{TAGS}/t10").refusal


@pytest.mark.parametrize("place", ["", "previews_base_config"])
def test_concurrent_changes_of_worker_settings_are_kept(worker: Api, place: str) -> None:
    """Two members of one object are both changed, and so are secrets in the same requests."""
    parts = [{"observability": {member: {"enabled": True}}} for member in ("logs", "traces")]
    env = [{"env": {name: {"type": "secret_text", "text": "x"}}} for name in ("A", "B")]
    bodies = [{place: part | secrets} if place else part for part, secrets in zip(parts, env, strict=True)]

    results(worker, *(("PATCH", WORKER, body) for body in bodies))

    shown = worker.send("GET", WORKER).result
    shown = shown[place] if place else shown
    assert {"logs": {"enabled": True}, "traces": {"enabled": True}} == shown["observability"]
    assert not place or {"A", "B"} == shown["env"].keys()


def test_concurrent_changes_of_a_stored_secret_are_kept(worker: Api) -> None:
    """The comment and the scopes are both changed, and each answer shows its own change."""
    store = worker.json("POST", f"{HERE}/secrets_store/stores", {"name": "main"}).result["id"]
    secrets = f"{HERE}/secrets_store/stores/{store}/secrets"
    made = worker.json("POST", secrets, [{"name": "A", "value": "x", "scopes": ["workers"]}]).result[0]
    path = f"{secrets}/{made['id']}"

    answers = results(worker, ("PATCH", path, {"comment": "new"}), ("PATCH", path, {"scopes": ["access"]}))

    assert ("new", ["access"]) == (answers[0]["comment"], answers[1]["scopes"])
    shown = worker.send("GET", path).result
    assert ("new", ["access"]) == (shown["comment"], shown["scopes"])


def test_concurrent_uploads_answer_with_their_own_versions(worker: Api) -> None:
    """Each answer has the version that its own request made."""
    messages = ["one", "two", "three"]
    bodies = [
        {"main_module": "a.js", "modules": [MODULE], "annotations": {"workers/message": message}}
        for message in messages
    ]

    answers = results(worker, *(("POST", f"{WORKER}/versions?deploy=true", body) for body in bodies))

    assert messages == [version["annotations"]["workers/message"] for version in answers]


def test_workers_can_be_listed_while_one_is_deleted(worker: Api) -> None:
    """The list has the other workers of its page, without or with the one that goes."""
    names = [f"w{number:03}" for number in range(250)]
    for name in names:
        assert worker.upload(name).status == 200

    listed, *_ = together(
        worker, ("GET", f"{HERE}/workers/workers?per_page=100", None), ("DELETE", f"{SCRIPTS}/w249", None)
    )

    assert listed is not None
    assert {f"w{number}" for number in range(150, 249)} <= {shown["name"] for shown in listed.result}
    assert (404, [10007]) == worker.send("GET", f"{HERE}/workers/workers/w249").refusal
