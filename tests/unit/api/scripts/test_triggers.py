"""Subdomains and schedules of scripts: they are stored and read back."""

import json

import pytest
from tests.unit.api.tools.driver import ACCOUNT, Api, script_at

AT = script_at("worker")
OFF = {"enabled": False, "previews_enabled": False}
ON = {"enabled": True, "previews_enabled": False}
"""The state before any change."""

ACCOUNT_AT = f"/client/v4/accounts/{ACCOUNT}/workers/subdomain"


@pytest.fixture
def worker(own_api: Api) -> Api:
    """Return an API with a script `worker`."""
    assert own_api.upload("worker").status == 200
    return own_api


def test_the_subdomain_can_be_enabled_and_disabled(worker: Api) -> None:
    """The subdomain is on at first; omitted members and uploads do not change it, and a DELETE disables it."""
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
def test_a_subdomain_of_the_wrong_type_is_refused(worker: Api, body: object, pointer: str) -> None:
    """The refusal is 400 / 10021 with a pointer, and nothing changes."""
    answer = worker.json("POST", f"{AT}/subdomain", body)

    assert (400, [10021]) == answer.refusal
    assert [pointer] == answer.pointers
    assert ON == worker.send("GET", f"{AT}/subdomain").result


def test_the_accounts_subdomain_cannot_be_registered(api: Api) -> None:
    """The account's subdomain has an underscore, so it is no valid host name, and it cannot be changed.

    Wrangler does not deploy without one.
    """
    name = api.send("GET", ACCOUNT_AT).result["subdomain"]

    assert f"nightsafe_{ACCOUNT[:8]}" == name
    assert {"subdomain": name} == api.json("PUT", ACCOUNT_AT, {"subdomain": name}).result
    assert (400, [10015]) == api.json("PUT", ACCOUNT_AT, {"subdomain": "mine"}).refusal
    assert (400, [10021]) == api.json("PUT", ACCOUNT_AT, {}).refusal


def test_new_schedules_replace_the_old_ones(worker: Api) -> None:
    """New schedules replace the old ones without duplicates; unchanged ones keep their time, uploads keep all."""
    path = f"{AT}/schedules"
    assert {"schedules": []} == worker.send("GET", path).result

    first = worker.json("PUT", path, [{"cron": "*/30 * * * *"}, {"cron": "0 3 * * MON"}, {"cron": "*/30 * * * *"}])
    assert ["*/30 * * * *", "0 3 * * MON"] == [schedule["cron"] for schedule in first.result["schedules"]]
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
def test_schedules_of_the_wrong_type_are_refused(worker: Api, body: object, pointer: str) -> None:
    """The refusal is 400 / 10021 with a pointer."""
    answer = worker.json("PUT", f"{AT}/schedules", body)

    assert (400, [10021]) == answer.refusal
    assert [pointer] == answer.pointers


def test_triggers_of_a_missing_script_get_404(own_api: Api) -> None:
    """Every page of triggers gets 404 / 10007 for a missing script."""
    missing = script_at("nowhere")

    assert (404, [10007]) == own_api.send("GET", f"{missing}/subdomain").refusal
    assert (404, [10007]) == own_api.json("POST", f"{missing}/subdomain", {"enabled": True}).refusal
    assert (404, [10007]) == own_api.send("DELETE", f"{missing}/subdomain").refusal
    assert (404, [10007]) == own_api.send("GET", f"{missing}/schedules").refusal
    assert (404, [10007]) == own_api.json("PUT", f"{missing}/schedules", []).refusal


def test_each_change_of_triggers_is_logged(worker: Api) -> None:
    """Each change is logged under its own action; a request that changes nothing is not logged."""
    worker.json("POST", f"{AT}/subdomain", {"enabled": True})
    worker.json("POST", f"{AT}/subdomain", {"enabled": True})
    worker.json("PUT", f"{AT}/schedules", [{"cron": "* * * * *"}])
    worker.json("PATCH", f"{AT}/script-settings", {"logpush": True})

    entries = worker.run(worker.store.audit_entries(ACCOUNT, limit=1000))
    actions = [json.loads(entry.entry)["action"] for _, entry in entries]
    assert ["scripts.upload", "subdomain.set", "schedules.set", "script_settings.patch"] == actions[-4:]
