"""Settings that are kept and do nothing are named in the answer."""

import json
from typing import Any

import pytest
from tests.unit.api.delivery.test_bundles import bundle_of
from tests.unit.api.tools.driver import ACCOUNT, SCRIPTS, Api, File, form, form_type, script_at

IDLE: dict[str, Any] = {
    "placement": {"mode": "smart"},
    "logpush": True,
    "observability": {"enabled": True},
    "tail_consumers": [{"service": "tail"}],
    "streaming_tail_consumers": [{"service": "tail"}],
    "limits": {"subrequests": 10, "cpu_ms": 50},
    "cache_options": {"enabled": True},
}


@pytest.mark.parametrize("name", IDLE)
def test_settings_that_do_nothing(api: Api, name: str) -> None:
    """Say so, at an upload and at a change of settings; what is off says nothing."""
    pointer = "/limits/subrequests" if name == "limits" else f"/{name}"
    told = [(10015, pointer)]

    assert told == api.upload("idle", {"main_module": "worker.js", name: IDLE[name]}).notices
    part = File("settings", json.dumps({name: IDLE[name]}).encode(), "application/json", as_file=False)
    assert told == api.send("PATCH", f"{SCRIPTS}/idle/settings", form(part), [form_type()]).notices
    off = {"limits": {"cpu_ms": 50}, "placement": {"mode": "off"}, "observability": {"enabled": False}}
    quiet = {"main_module": "worker.js", "logpush": False, "tail_consumers": [], **off}
    assert [] == api.upload("idle", quiet).notices


def test_script_settings_and_schedules_that_do_nothing(api: Api) -> None:
    """Say so too; an empty schedule says nothing. Clients find the rest of the answer where it was."""
    at = script_at("worker")
    answer = api.json("PATCH", f"{at}/script-settings", {"logpush": True, "tags": ["a"]})
    assert ([(10015, "/logpush")], True) == (answer.notices, answer.result["logpush"])
    crons = api.json("PUT", f"{at}/schedules", [{"cron": "* * * * *"}])
    assert ([(10015, "/schedules")], 1) == (crons.notices, len(crons.result["schedules"]))
    assert [] == api.json("PUT", f"{at}/schedules", []).notices
    worker = f"/client/v4/accounts/{ACCOUNT}/workers/workers/worker"
    assert [(10015, "/logpush")] == api.json("PATCH", worker, {"logpush": True}).notices


@pytest.mark.parametrize("limit", [0, 9, 300_001, 10.5, "100", True])
def test_cpu_limits(api: Api, limit: object) -> None:
    """From 10 ms to five minutes, in whole milliseconds."""
    answer = api.upload("limited", {"main_module": "worker.js", "limits": {"cpu_ms": limit}})

    assert (400, [10021], ["/limits/cpu_ms"]) == (*answer.refusal, answer.pointers)
    for fine in (10, 300_000):
        assert [] == api.upload("limited", {"main_module": "worker.js", "limits": {"cpu_ms": fine}}).notices


def test_the_subdomain_of_a_script(own_api: Api) -> None:
    """Is on until somebody says that it is off, in the answers as in what is delivered."""
    assert own_api.upload("worker").status == 200
    at = f"{script_at('worker')}/subdomain"

    def seen() -> tuple[bool, bool]:
        """What the API says, and what the delivery side is given."""
        return own_api.send("GET", at).result["enabled"], bundle_of(own_api, "worker").inner

    assert (True, False) == seen()
    assert 200 == own_api.json("POST", at, {"enabled": False}).status
    assert (False, True) == seen()
    assert 200 == own_api.json("POST", at, {"enabled": True}).status
    assert (True, False) == seen()
    assert 200 == own_api.send("DELETE", at).status
    assert (False, True) == seen()
