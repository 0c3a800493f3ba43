"""Where a script is to be reached and when it is to be run: kept, and given back."""

import json

import pytest
from tests.unit.api.tools.driver import ACCOUNT, Api, script_at

AT = script_at("worker")
OFF = {"enabled": False, "previews_enabled": False}
ON = {"enabled": True, "previews_enabled": False}
"""As long as nobody has said anything."""

ACCOUNT_AT = f"/client/v4/accounts/{ACCOUNT}/workers/subdomain"


@pytest.fixture
def worker(own_api: Api) -> Api:
    """An API with a script `worker`."""
    assert own_api.upload("worker").status == 200
    return own_api


def test_the_subdomain_goes_on_and_off(worker: Api) -> None:
    """It is on at first; what is left out stays; no upload changes it; a deletion takes it off."""
    path = f"{AT}/subdomain"
    assert ON == worker.send("GET", path).result

    assert ON == worker.json("POST", path, {"enabled": True}).result
    both = {"enabled": True, "previews_enabled": True}
    assert both == worker.json("POST", path, both).result
    assert both | {"enabled": False} == worker.json("POST", path, {"enabled": False}).result
    worker.upload("worker")
    assert both | {"enabled": False} == worker.send("GET", path).result
    assert OFF == worker.send("DELETE", path).result == worker.send("GET", path).result
    assert 2 == len(worker.run(worker.store.versions(worker.ref("worker"))))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/enabled"),
        ({"enabled": None}, "/enabled"),
        ({"enabled": "true"}, "/enabled"),
        ({"enabled": True, "previews_enabled": 1}, "/previews_enabled"),
    ],
)
def test_a_subdomain_of_the_wrong_kind(worker: Api, body: object, pointer: str) -> None:
    """400 / 10021 with a pointer; nothing is changed."""
    answer = worker.json("POST", f"{AT}/subdomain", body)

    assert (400, [10021]) == answer.refusal
    assert [pointer] == answer.pointers
    assert ON == worker.send("GET", f"{AT}/subdomain").result


def test_the_account_has_a_name_that_nobody_can_register(api: Api) -> None:
    """Without one wrangler would not deploy; with an underscore it is no name of a host. It cannot be changed."""
    name = api.send("GET", ACCOUNT_AT).result["subdomain"]

    assert f"nightsafe_{ACCOUNT[:8]}" == name
    assert {"subdomain": name} == api.json("PUT", ACCOUNT_AT, {"subdomain": name}).result
    assert (400, [10015]) == api.json("PUT", ACCOUNT_AT, {"subdomain": "mine"}).refusal
    assert (400, [10021]) == api.json("PUT", ACCOUNT_AT, {}).refusal


def test_schedules_are_kept(worker: Api) -> None:
    """They replace those before, each once, and one that stays keeps its time; no upload changes them."""
    path = f"{AT}/schedules"
    assert {"schedules": []} == worker.send("GET", path).result

    first = worker.json("PUT", path, [{"cron": "*/30 * * * *"}, {"cron": "0 3 * * MON"}, {"cron": "*/30 * * * *"}])
    assert ["*/30 * * * *", "0 3 * * MON"] == [one["cron"] for one in first.result["schedules"]]
    worker.upload("worker")
    second = worker.json("PUT", path, {"schedules": [{"cron": "0 3 * * MON"}, {"cron": "1 2 3 4 5"}]})

    kept, new = second.result["schedules"]
    assert kept == first.result["schedules"][1]
    assert new["cron"] == "1 2 3 4 5"
    assert second.result == worker.send("GET", path).result
    assert {"schedules": []} == worker.json("PUT", path, []).result == worker.send("GET", path).result


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/schedules"),
        ("* * * * *", ""),
        (["* * * * *"], "/0"),
        ([{}], "/0/cron"),
        ([{"cron": 1}], "/0/cron"),
        ([{"cron": "* * * *"}], "/0/cron"),
        ([{"cron": "* * * * " + "1" * 256}], "/0/cron"),
        ({"schedules": [{"cron": ""}]}, "/schedules/0/cron"),
        ([{"cron": f"{minute} * * * *"} for minute in range(251)], ""),
    ],
)
def test_schedules_of_the_wrong_kind(worker: Api, body: object, pointer: str) -> None:
    """400 / 10021 with a pointer."""
    answer = worker.json("PUT", f"{AT}/schedules", body)

    assert (400, [10021]) == answer.refusal
    assert [pointer] == answer.pointers


def test_a_script_that_is_not_there(own_api: Api) -> None:
    """404 / 10007."""
    there = script_at("nowhere")

    assert (404, [10007]) == own_api.send("GET", f"{there}/subdomain").refusal
    assert (404, [10007]) == own_api.json("POST", f"{there}/subdomain", {"enabled": True}).refusal
    assert (404, [10007]) == own_api.send("DELETE", f"{there}/subdomain").refusal
    assert (404, [10007]) == own_api.send("GET", f"{there}/schedules").refusal
    assert (404, [10007]) == own_api.json("PUT", f"{there}/schedules", []).refusal


def test_each_change_is_in_the_log(worker: Api) -> None:
    """Under its own action, and a change that alters nothing is not."""
    worker.json("POST", f"{AT}/subdomain", {"enabled": True})
    worker.json("POST", f"{AT}/subdomain", {"enabled": True})
    worker.json("PUT", f"{AT}/schedules", [{"cron": "* * * * *"}])
    worker.json("PATCH", f"{AT}/script-settings", {"logpush": True})

    entries = worker.run(worker.store.audit_entries(ACCOUNT, limit=1000))
    actions = [json.loads(entry.entry)["action"] for _, entry in entries]
    assert ["scripts.upload", "subdomain.set", "schedules.set", "script_settings.patch"] == actions[-4:]
