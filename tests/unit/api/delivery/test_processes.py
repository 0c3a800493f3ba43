"""Who delivers, and what is held apart, as delivery processes tell it and others see it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api

from nightsafe.identity.policy import ACCOUNT_RESOURCE, allowing
from nightsafe.services.identity.administration import issue_token

AT = f"/client/v4/accounts/{ACCOUNT}/nightsafe"
DELIVERY = "6e6967687473616665206465c16976e1"
RESEALING = "6e69676874736166652072657365616c"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The API."""
    with Api(tmp_path) as made:
        yield made


@pytest.fixture
def token(api: Api) -> tuple[bytes, bytes]:
    """The header of a token that may deliver."""
    user = api.run(api.store.user_by_email(api.credentials.email))
    assert user is not None
    policies = [allowing(ACCOUNT_RESOURCE + ACCOUNT, DELIVERY)]
    issued = api.run(issue_token(api.store, ACCOUNT, user.id, "delivery", policies=policies))
    return b"authorization", b"Bearer " + issued.token.encode()


def follow(api: Api, token: tuple[bytes, bytes], process: str = "one") -> None:
    """Ask for changes once, as a process that delivers does."""
    answer = api.send("GET", f"{AT}/changes?wait=0&process={process}", b"", [token], anonymous=True)
    assert 200 == answer.status


def report(api: Api, token: tuple[bytes, bytes], body: Any, process: str = "one") -> Answer:
    """Tell what is held apart."""
    return api.send("PUT", f"{AT}/processes/{process}", json.dumps(body).encode(), [token], anonymous=True)


def held(script: str = "loop", seconds: float = 60) -> dict[str, Any]:
    """A script that is held."""
    return {"script": script, "until": time.time() + seconds, "reason": "it used 30 s of CPU time"}


def shown(api: Api) -> Any:
    """What the owner sees."""
    return api.send("GET", f"{AT}/processes").result


def test_nobody_delivers(api: Api) -> None:
    """There is nothing to see."""
    assert [] == shown(api)


def test_what_a_process_tells(api: Api, token: tuple[bytes, bytes]) -> None:
    """Is seen by whoever may read scripts, until the process tells otherwise."""
    follow(api, token)
    assert {"held": 1} == report(api, token, {"held": [held()]}).result
    [process] = shown(api)

    assert "one" == process["name"]
    assert [("loop", "it used 30 s of CPU time")] == [(one["script"], one["reason"]) for one in process["held"]]
    assert process["held"][0]["until"].endswith("Z")
    report(api, token, {"held": []})
    assert [[]] == [one["held"] for one in shown(api)]


def test_who_may_seal_anew(api: Api, token: tuple[bytes, bytes]) -> None:
    """It is shown of each process whether its token may, which the one of the delivery page may not."""
    user = api.run(api.store.user_by_email(api.credentials.email))
    assert user is not None
    policies = [allowing(ACCOUNT_RESOURCE + ACCOUNT, DELIVERY, RESEALING)]
    issued = api.run(issue_token(api.store, ACCOUNT, user.id, "both", policies=policies))
    follow(api, token)
    follow(api, (b"authorization", b"Bearer " + issued.token.encode()), process="two")

    assert {"one": False, "two": True} == {one["name"]: one["reseals"] for one in shown(api)}


def test_what_is_over(api: Api, token: tuple[bytes, bytes]) -> None:
    """Is not shown any more."""
    follow(api, token)
    report(api, token, {"held": [held(seconds=-1), held("other")]})

    assert [["other"]] == [[one["script"] for one in process["held"]] for process in shown(api)]


def test_a_process_that_is_not_there(api: Api, token: tuple[bytes, bytes]) -> None:
    """What it told is not shown."""
    report(api, token, {"held": [held()]}, process="gone")
    follow(api, token)

    assert [("one", [])] == [(process["name"], process["held"]) for process in shown(api)]


@pytest.mark.parametrize(
    "body",
    [{}, [], {"held": {}}, {"held": [{"script": "x"}]}, {"held": [held()] * 1001}, {"held": [], "more": 1}],
    ids=["none", "a list", "an object", "a part", "too many", "a stranger"],
)
def test_a_report_that_is_none(api: Api, token: tuple[bytes, bytes], body: Any) -> None:
    """Is refused, and points at what is wrong."""
    answer = report(api, token, body)

    assert (400, [10021]) == answer.refusal
    assert ["/held"] == answer.pointers


def test_who_may_tell(api: Api) -> None:
    """Nobody but who delivers: the owner may look, and no more."""
    answer = api.send("PUT", f"{AT}/processes/one", json.dumps({"held": []}).encode())

    assert 403 == answer.status
