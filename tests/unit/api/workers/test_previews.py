"""The secrets of a preview by its name, as `wrangler preview secret` of 4.130 and later reads and patches them."""

from typing import Any

import pytest
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api, secrets_of

WORKER = f"/client/v4/accounts/{ACCOUNT}/workers/workers/worker"
TEXT = {"type": "secret_text", "text": "a value"}


def at(preview: str) -> str:
    """The path of a preview's newest deployment."""
    return f"{WORKER}/previews/{preview}/deployments/latest"


def patch(api: Api, preview: str, env: object) -> Answer:
    """A patch as wrangler sends it."""
    return api.json("PATCH", at(preview), {"env": env, "annotations": {"workers/message": "why"}})


def env(api: Api, preview: str) -> Any:
    """The bindings that are told."""
    answer = api.send("GET", at(preview))
    assert not values.holds_plant(answer.body)
    return answer.result["env"]


@pytest.fixture
def api_of_one(own_api: Api) -> Api:
    """An API with a script `worker`."""
    assert own_api.upload("worker").status == 200
    return own_api


def test_secrets_are_put_listed_and_dropped(api_of_one: Api) -> None:
    """One deployment's worth: an id, no addresses, names and kinds without values."""
    value = values.planted()
    answer = patch(api_of_one, "a", {"A": {"type": "secret_text", "text": value}, "B": TEXT})

    assert {"A": {"type": "secret_text"}, "B": {"type": "secret_text"}} == answer.result["env"]
    assert ([], "a") == (answer.result["urls"], answer.result["preview_name"])
    assert answer.result == api_of_one.send("GET", at("a")).result
    assert {"B": {"type": "secret_text"}} == patch(api_of_one, "a", {"A": None}).result["env"]
    assert answer.result["id"] != api_of_one.send("GET", at("a")).result["id"]


def test_previews_do_not_share(api_of_one: Api) -> None:
    """Not with one another, not with what all begin with, not with the script; a name may have a slash."""
    patch(api_of_one, "a", {"A": TEXT})
    patch(api_of_one, "feature%2Fb", {"B": TEXT})
    api_of_one.json("PATCH", WORKER, {"previews_base_config": {"env": {"BASE": TEXT}}})

    assert [["A"], ["B"], []] == [list(env(api_of_one, preview)) for preview in ("a", "feature%2Fb", "c")]
    assert ["BASE"] == list(api_of_one.send("GET", WORKER).result["previews_base_config"]["env"])
    assert [] == api_of_one.send("GET", secrets_of("worker")).result


def test_the_kept_and_the_refused(api_of_one: Api) -> None:
    """A secret without its value stays; what is new needs one; a script that is not there has none."""
    patch(api_of_one, "a", {"A": TEXT})

    assert ["A"] == list(patch(api_of_one, "a", {"A": {"type": "secret_text"}}).result["env"])
    assert (400, [10021]) == patch(api_of_one, "a", {"NEW": {"type": "secret_text"}}).refusal
    assert (400, [10021]) == patch(api_of_one, "a", {"A": {"type": "secret_text", "value": "misspelt"}}).refusal
    assert (400, [10021]) == patch(api_of_one, "x" * 256, {"A": TEXT}).refusal
    absent = at("a").replace("/worker/", "/absent/")
    assert (404, [10007]) == api_of_one.send("GET", absent).refusal
    assert (404, [10007]) == api_of_one.json("PATCH", absent, {"env": {"A": TEXT}}).refusal


def test_a_script_has_so_many_previews(api_of_one: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills the safe with names."""
    monkeypatch.setattr("nightsafe.services.workers.previews.MAX_PREVIEWS", 2)
    assert [200, 200, 400] == [patch(api_of_one, name, {"A": TEXT}).status for name in ("a", "b", "c")]
    assert 200 == patch(api_of_one, "a", {"B": TEXT}).status


def test_they_go_with_the_script(api_of_one: Api) -> None:
    """One of its name that comes later has none of them."""
    patch(api_of_one, "a", {"A": TEXT})
    assert 200 == api_of_one.send("DELETE", WORKER).status
    api_of_one.upload("worker")

    assert {} == env(api_of_one, "a")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("DELETE", "/a"), ("POST", "/a/deployments")]
)
def test_previews_themselves_are_refused(api_of_one: Api, method: str, path: str) -> None:
    """With 10015 and the thing's name."""
    answer = api_of_one.send(method, f"{WORKER}/previews{path}")

    assert (400, [10015]) == answer.refusal
    assert "preview deployments" in answer.messages[0]
