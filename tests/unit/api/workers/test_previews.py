"""Secrets of previews, as `wrangler preview secret` 4.130 and later reads and patches them."""

from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, secrets_of

WORKER = f"/client/v4/accounts/{ACCOUNT}/workers/workers/worker"
TEXT = {"type": "secret_text", "text": "a value"}


def at(preview: str) -> str:
    """Return the path of a preview's newest deployment."""
    return f"{WORKER}/previews/{preview}/deployments/latest"


def patch(api: Api, preview: str, env: object) -> Answer:
    """Patch the secrets as wrangler does."""
    return api.json("PATCH", at(preview), {"env": env, "annotations": {"workers/message": "why"}})


def env(api: Api, preview: str) -> Any:
    """Return the bindings as they are shown."""
    answer = api.send("GET", at(preview))
    assert not values.holds_plant(answer.body)
    return answer.result["env"]


@pytest.fixture
def worker(own_api: Api) -> Api:
    """Return an API with a script `worker`."""
    assert own_api.upload("worker").status == 200
    return own_api


def test_preview_secrets_are_listed_without_values(worker: Api) -> None:
    """The answer has an ID, no URLs, and the secrets' names and types without values."""
    value = values.planted()
    answer = patch(worker, "a", {"A": {"type": "secret_text", "text": value}, "B": TEXT})

    assert {"A": {"type": "secret_text"}, "B": {"type": "secret_text"}} == answer.result["env"]
    assert ([], "a") == (answer.result["urls"], answer.result["preview_name"])
    assert answer.result == worker.send("GET", at("a")).result
    assert {"B": {"type": "secret_text"}} == patch(worker, "a", {"A": None}).result["env"]
    assert answer.result["id"] != worker.send("GET", at("a")).result["id"]


def test_previews_do_not_share_secrets(worker: Api) -> None:
    """Previews share no secrets with each other, the base configuration or the script; names may contain slashes."""
    patch(worker, "a", {"A": TEXT})
    patch(worker, "feature%2Fb", {"B": TEXT})
    worker.json("PATCH", WORKER, {"previews_base_config": {"env": {"BASE": TEXT}}})

    assert [["A"], ["B"], []] == [list(env(worker, preview)) for preview in ("a", "feature%2Fb", "c")]
    assert ["BASE"] == list(worker.send("GET", WORKER).result["previews_base_config"]["env"])
    assert [] == worker.send("GET", secrets_of("worker")).result


def test_a_new_preview_secret_needs_a_value(worker: Api) -> None:
    """A secret without its value is kept if it exists, otherwise refused; a missing script gets 10007."""
    patch(worker, "a", {"A": TEXT})

    assert ["A"] == list(patch(worker, "a", {"A": {"type": "secret_text"}}).result["env"])
    assert (400, [10021]) == patch(worker, "a", {"NEW": {"type": "secret_text"}}).refusal
    assert (400, [10021]) == patch(worker, "a", {"A": {"type": "secret_text", "value": "misspelt"}}).refusal
    assert (400, [10021]) == patch(worker, "x" * 256, {"A": TEXT}).refusal
    absent = at("a").replace("/worker/", "/absent/")
    assert (404, [10007]) == worker.send("GET", absent).refusal
    assert (404, [10007]) == worker.json("PATCH", absent, {"env": {"A": TEXT}}).refusal


def test_the_number_of_previews_is_limited(worker: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script may have only a limited number of previews, so that their names cannot fill the safe."""
    monkeypatch.setattr("nightsafe.services.workers.previews.MAX_PREVIEWS", 2)
    assert [200, 200, 400] == [patch(worker, name, {"A": TEXT}).status for name in ("a", "b", "c")]
    assert 200 == patch(worker, "a", {"B": TEXT}).status


def test_preview_secrets_are_deleted_with_the_script(worker: Api) -> None:
    """Deleting a script deletes its previews' secrets, and a new script of that name starts without any."""
    patch(worker, "a", {"A": TEXT})
    assert 200 == worker.send("DELETE", WORKER).status
    worker.upload("worker")

    assert {} == env(worker, "a")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("DELETE", "/a"), ("POST", "/a/deployments")]
)
def test_preview_deployments_are_refused(worker: Api, method: str, path: str) -> None:
    """Requests for preview deployments are refused with 10015 by name."""
    answer = worker.send(method, f"{WORKER}/previews{path}")

    assert (400, [10015]) == answer.refusal
    assert "preview deployments" in answer.messages[0]
