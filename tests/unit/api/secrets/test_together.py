"""Requests that alter the same thing at once: each part that one of them names is as it said, whoever else writes."""

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
    """An API with a script `worker`, and another one of that name in the dispatch namespace `space`."""
    assert own_api.upload("worker").status == 200
    assert own_api.json("POST", SPACE, {"name": "space"}).status == 200
    body = form(File("metadata", b'{"main_module":"a.js"}', "application/json", as_file=False), File("a.js"))
    assert own_api.send("PUT", f"{SPACE}/space/scripts/worker", body, [form_type()]).status == 200
    return own_api


def together(api: Api, *requests: Request) -> list[Answer | None]:
    """The answers to requests that are all there before the first is answered."""

    async def ask(method: str, path: str, value: Any) -> Answer | None:
        """One of them."""
        parts = [] if value is None else [json.dumps(value).encode()]
        exchange = Exchange(scope_of(method, path, [api.bearer, JSON]), parts)
        await api.app(exchange.scope, exchange.receive, exchange.send)
        return exchange.answer

    async def ask_all() -> list[Answer | None]:
        """All of them."""
        return await asyncio.gather(*(ask(*request) for request in requests))

    return api.run(ask_all())


def results(api: Api, *requests: Request) -> list[Any]:
    """Their results: none is refused for another's sake."""
    return [answer.result for answer in together(api, *requests) if answer is not None]


def test_tags(worker: Api) -> None:
    """Each that was put is there, each that was deleted is not."""
    assert worker.json("PUT", TAGS, ["old"]).status == 200
    tags = [f"t{number}" for number in range(9)]

    answers = results(worker, *(("PUT", f"{TAGS}/{tag}", None) for tag in tags), ("DELETE", f"{TAGS}/old", None))

    assert 10 == len(answers)
    assert tags == sorted(worker.send("GET", TAGS).result)


def test_a_tag_that_is_there_is_no_further_one(worker: Api) -> None:
    """It can be put again though there may be no more."""
    tags = [f"t{number}" for number in range(10)]
    assert worker.json("PUT", TAGS, tags).status == 200

    assert tags == worker.send("PUT", f"{TAGS}/t3").result
    assert (400, [10021]) == worker.send("PUT", f"{TAGS}/t10").refusal


@pytest.mark.parametrize("place", ["", "previews_base_config"])
def test_settings_deep_in_a_worker(worker: Api, place: str) -> None:
    """Two members of one object; with secrets beside them, which are sealed once and whole."""
    parts = [{"observability": {one: {"enabled": True}}} for one in ("logs", "traces")]
    env = [{"env": {name: {"type": "secret_text", "text": "x"}}} for name in ("A", "B")]
    bodies = [{place: one | more} if place else one for one, more in zip(parts, env, strict=True)]

    results(worker, *(("PATCH", WORKER, body) for body in bodies))

    told = worker.send("GET", WORKER).result
    told = told[place] if place else told
    assert {"logs": {"enabled": True}, "traces": {"enabled": True}} == told["observability"]
    assert not place or {"A", "B"} == told["env"].keys()


def test_a_secret_of_a_store(worker: Api) -> None:
    """Its comment and its scopes; each answer tells of its own at least."""
    store = worker.json("POST", f"{HERE}/secrets_store/stores", {"name": "main"}).result["id"]
    secrets = f"{HERE}/secrets_store/stores/{store}/secrets"
    made = worker.json("POST", secrets, [{"name": "A", "value": "x", "scopes": ["workers"]}]).result[0]
    path = f"{secrets}/{made['id']}"

    answers = results(worker, ("PATCH", path, {"comment": "new"}), ("PATCH", path, {"scopes": ["access"]}))

    assert ("new", ["access"]) == (answers[0]["comment"], answers[1]["scopes"])
    told = worker.send("GET", path).result
    assert ("new", ["access"]) == (told["comment"], told["scopes"])


def test_a_version_that_is_deployed_at_once(worker: Api) -> None:
    """Each answer tells of the version that its own request made."""
    messages = ["one", "two", "three"]
    bodies = [
        {"main_module": "a.js", "modules": [MODULE], "annotations": {"workers/message": one}} for one in messages
    ]

    answers = results(worker, *(("POST", f"{WORKER}/versions?deploy=true", body) for body in bodies))

    assert messages == [one["annotations"]["workers/message"] for one in answers]


def test_a_list_of_workers_while_one_is_deleted(worker: Api) -> None:
    """It tells of the others: that a list is absent is never the answer."""
    names = [f"w{number:03}" for number in range(250)]
    for name in names:
        assert worker.upload(name).status == 200

    listed, *_ = together(
        worker, ("GET", f"{HERE}/workers/workers?per_page=100", None), ("DELETE", f"{SCRIPTS}/w249", None)
    )

    assert listed is not None
    assert 100 == len(listed.result)
    assert (404, [10007]) == worker.send("GET", f"{HERE}/workers/workers/w249").refusal
