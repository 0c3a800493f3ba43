"""Notices of settings that are stored but have no effect."""

import json
from typing import Any

import pytest
from tests.unit.api.delivery.test_bundles import bundle_of
from tests.unit.api.tools.driver import ACCOUNT, SCRIPTS, Api, File, form, form_type, script_at

WITHOUT_EFFECT: dict[str, Any] = {
    "placement": {"mode": "smart"},
    "logpush": True,
    "observability": {"enabled": True},
    "tail_consumers": [{"service": "tail"}],
    "streaming_tail_consumers": [{"service": "tail"}],
    "limits": {"subrequests": 10, "cpu_ms": 50},
    "cache_options": {"enabled": True},
}


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_settings_without_effect_get_notices(api: Api, name: str) -> None:
    """An upload or a change of settings gets a notice for each setting without effect, and none for disabled ones."""
    pointer = "/limits/subrequests" if name == "limits" else f"/{name}"
    notices = [(10015, pointer)]

    assert notices == api.upload("idle", {"main_module": "worker.js", name: WITHOUT_EFFECT[name]}).notices
    part = File("settings", json.dumps({name: WITHOUT_EFFECT[name]}).encode(), "application/json", as_file=False)
    assert notices == api.send("PATCH", f"{SCRIPTS}/idle/settings", form(part), [form_type()]).notices
    off = {"limits": {"cpu_ms": 50}, "placement": {"mode": "off"}, "observability": {"enabled": False}}
    disabled = {"main_module": "worker.js", "logpush": False, "tail_consumers": [], **off}
    assert [] == api.upload("idle", disabled).notices


def test_script_settings_and_schedules_get_notices(api: Api) -> None:
    """Script settings and schedules get notices too; an empty list of schedules does not."""
    at = script_at("worker")
    answer = api.json("PATCH", f"{at}/script-settings", {"logpush": True, "tags": ["a"]})
    assert ([(10015, "/logpush")], True) == (answer.notices, answer.result["logpush"])
    crons = api.json("PUT", f"{at}/schedules", [{"cron": "* * * * *"}])
    assert ([(10015, "/schedules")], 1) == (crons.notices, len(crons.result["schedules"]))
    assert [] == api.json("PUT", f"{at}/schedules", []).notices
    worker = f"/client/v4/accounts/{ACCOUNT}/workers/workers/worker"
    assert [(10015, "/logpush")] == api.json("PATCH", worker, {"logpush": True}).notices


@pytest.mark.parametrize("limit", [0, 9, 300_001, 10.5, "100", True])
def test_cpu_limits_out_of_range_are_refused(api: Api, limit: object) -> None:
    """A CPU limit is a whole number of milliseconds, from 10 to 300,000."""
    answer = api.upload("limited", {"main_module": "worker.js", "limits": {"cpu_ms": limit}})

    assert (400, [10021], ["/limits/cpu_ms"]) == (*answer.refusal, answer.pointers)
    for valid in (10, 300_000):
        assert [] == api.upload("limited", {"main_module": "worker.js", "limits": {"cpu_ms": valid}}).notices


def test_the_subdomain_is_on_until_it_is_disabled(own_api: Api) -> None:
    """The subdomain is on until it is disabled, both in the API's answers and in the bundle."""
    assert own_api.upload("worker").status == 200
    at = f"{script_at('worker')}/subdomain"

    def enabled_and_inner() -> tuple[bool, bool]:
        """Return the API's answer, and the bundle's `inner`."""
        return own_api.send("GET", at).result["enabled"], bundle_of(own_api, "worker").inner

    assert (True, False) == enabled_and_inner()
    assert 200 == own_api.json("POST", at, {"enabled": False}).status
    assert (False, True) == enabled_and_inner()
    assert 200 == own_api.json("POST", at, {"enabled": True}).status
    assert (True, False) == enabled_and_inner()
    assert 200 == own_api.send("DELETE", at).status
    assert (False, True) == enabled_and_inner()
