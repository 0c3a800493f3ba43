"""Delivery processes and the scripts that they hold, as the processes report them and the owner sees them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.api.delivery.test_bundles import AT, DELIVERY
from tests.unit.api.delivery.test_bundles import token as delivery_token
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api
from tests.unit.api.tools.tokens import READ

from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy
from nightsafe.services.identity.administration import issue_token

RESEALING = "6e69676874736166652072657365616c"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API."""
    with Api(tmp_path) as made:
        yield made


@pytest.fixture
def token(api: Api) -> tuple[bytes, bytes]:
    """Return the header of a token that may deliver."""
    return delivery_token(api)


def follow(api: Api, token: tuple[bytes, bytes], process: str = "one") -> None:
    """Ask for changes once, as a delivery process does."""
    answer = api.send("GET", f"{AT}/changes?wait=0&process={process}", b"", [token], anonymous=True)
    assert 200 == answer.status


def report(api: Api, token: tuple[bytes, bytes], body: Any, process: str = "one") -> Answer:
    """Report the held scripts."""
    return api.send("PUT", f"{AT}/processes/{process}", json.dumps(body).encode(), [token], anonymous=True)


def held(script: str = "loop", seconds: float = 60) -> dict[str, Any]:
    """Return a held script."""
    return {"script": script, "until": time.time() + seconds, "reason": "it used 30 s of CPU time"}


def shown(api: Api) -> Any:
    """Return the processes as the owner sees them."""
    return api.send("GET", f"{AT}/processes").result


def test_without_delivery_no_process_is_listed(api: Api) -> None:
    """Without delivery the list of processes is empty."""
    assert [] == shown(api)


def test_a_processs_held_scripts_are_shown(api: Api, token: tuple[bytes, bytes]) -> None:
    """The held scripts are shown with their reasons until the process reports others."""
    follow(api, token)
    assert {"held": 1} == report(api, token, {"held": [held()]}).result
    [process] = shown(api)

    assert "one" == process["name"]
    assert [("loop", "it used 30 s of CPU time")] == [
        (script["script"], script["reason"]) for script in process["held"]
    ]
    assert process["held"][0]["until"].endswith("Z")
    report(api, token, {"held": []})
    assert [[]] == [process["held"] for process in shown(api)]


def test_processes_show_whether_they_may_re_encrypt(api: Api, token: tuple[bytes, bytes]) -> None:
    """Each process is shown with whether its token may reseal; a token for delivery alone may not."""
    user = api.run(api.store.user_by_email(api.credentials.email))
    assert user is not None
    policies = [allow_policy(ACCOUNT_RESOURCE + ACCOUNT, DELIVERY, RESEALING)]
    issued = api.run(issue_token(api.store, ACCOUNT, user.id, "both", policies=policies))
    follow(api, token)
    follow(api, (b"authorization", b"Bearer " + issued.token.encode()), process="two")

    assert {"one": False, "two": True} == {process["name"]: process["reseals"] for process in shown(api)}


def test_a_script_that_is_no_longer_held_is_not_shown(api: Api, token: tuple[bytes, bytes]) -> None:
    """A script that is no longer held is not shown."""
    follow(api, token)
    report(api, token, {"held": [held(seconds=-1), held("other")]})

    assert [["other"]] == [[script["script"] for script in process["held"]] for process in shown(api)]


def test_a_disconnected_process_is_not_shown(api: Api, token: tuple[bytes, bytes]) -> None:
    """Reports of a process that is not connected are not shown."""
    report(api, token, {"held": [held()]}, process="gone")
    follow(api, token)

    assert [("one", [])] == [(process["name"], process["held"]) for process in shown(api)]


def test_problems_are_shown_to_callers_that_may_read_the_script(api: Api, token: tuple[bytes, bytes]) -> None:
    """Problems are shown until the process reports others; of scripts, only to callers that may read the script."""
    follow(api, token)
    problems = [{"script": script, "reason": "changed"} for script in ("", "worker", "secret-one")]
    report(api, token, {"held": [], "problems": problems})
    user = api.run(api.store.user_by_email(api.credentials.email))
    assert user is not None
    denied = allow_policy(ACCOUNT_RESOURCE + ACCOUNT, READ, scripts=["secret-one"])
    policies = [allow_policy(ACCOUNT_RESOURCE + ACCOUNT, READ), replace(denied, effect="deny")]
    limited = api.run(issue_token(api.store, ACCOUNT, user.id, "limited", policies=policies)).token
    header = (b"authorization", f"Bearer {limited}".encode())

    assert [problems] == [process["problems"] for process in shown(api)]
    answer = api.send("GET", f"{AT}/processes", b"", [header], anonymous=True)
    assert [problems[:2]] == [process["problems"] for process in answer.result]
    report(api, token, {"held": []})
    assert [[]] == [process["problems"] for process in shown(api)]


@pytest.mark.parametrize(
    "body",
    [
        {"held": [], "problems": [{"script": "x"}]},
        {},
        [],
        {"held": {}},
        {"held": [{"script": "x"}]},
        {"held": [held()] * 1001},
        {"held": [], "more": 1},
    ],
    ids=[
        "a problem without a reason",
        "no list",
        "a list alone",
        "an object",
        "a script without a reason",
        "too many",
        "an unknown member",
    ],
)
def test_a_malformed_report_is_refused(api: Api, token: tuple[bytes, bytes], body: Any) -> None:
    """A malformed report is refused with a pointer."""
    answer = report(api, token, body)

    assert (400, [10021]) == answer.refusal
    assert ["/held"] == answer.pointers


def test_only_delivery_tokens_may_report(api: Api) -> None:
    """Only a token that may deliver can report: even the owner is refused."""
    answer = api.send("PUT", f"{AT}/processes/one", json.dumps({"held": []}).encode())

    assert 403 == answer.status
