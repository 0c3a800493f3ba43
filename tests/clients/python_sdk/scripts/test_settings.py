"""A script's settings, schedules and subdomain through the SDK."""

from collections.abc import Callable
from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare
from tests.clients.python_sdk.tools.keys import fresh_keys, shown
from tests.clients.python_sdk.tools.workers import (
    add_version,
    codes,
    deployments,
    every,
    fields,
    plain,
    secret,
    upload,
)
from tests.clients.stored_values import opened
from tests.server import ACCOUNT, Server


def test_an_edit_replaces_bindings_and_keeps_values(server: Server, client: Cloudflare, absent_script: str) -> None:
    """`script_and_version_settings.edit` replaces all bindings; a binding without its value keeps its value."""
    key = fresh_keys()["jwk"]
    upload(client, absent_script, secret("S", "one"), secret("GONE", "x"), plain("P", "old"), {"name": "K", **key})
    settings = client.workers.scripts.script_and_version_settings
    kept = [{"type": "secret_text", "name": "S"}, {"type": "inherit", "name": "P"}, {"name": "K", **shown(key)}]
    wanted: Any = {
        "bindings": [*kept, secret("NEW", "two")],
        "compatibility_date": "2026-01-01",
        "compatibility_flags": ["nodejs_compat"],
        "placement": {"mode": "smart"},
        "limits": {"cpu_ms": 50},
        "logpush": True,
        "annotations": {"workers_message": "why"},
    }

    edited = settings.edit(absent_script, account_id=ACCOUNT, settings=wanted)

    expected = [
        {"name": "K", **shown(key)},
        {"type": "secret_text", "name": "NEW"},
        plain("P", "old"),
        {"type": "secret_text", "name": "S"},
    ]
    now = fields(edited)
    assert expected == now["bindings"]
    assert ("2026-01-01", ["nodejs_compat"], True) == tuple(
        now[name] for name in ("compatibility_date", "compatibility_flags", "logpush")
    )
    assert ("smart", {"cpu_ms": 50}, "why") == (
        now["placement"]["mode"],
        now["limits"],
        now["annotations"]["workers/message"],
    )
    assert fields(settings.get(absent_script, account_id=ACCOUNT)) == now
    assert {"S": "one", "NEW": "two"} == opened(server.safe, absent_script)
    newest, first = every(client.workers.scripts.versions.list(absent_script, account_id=ACCOUNT))
    served, _ = deployments(client, absent_script)
    assert (2, 1) == (newest.number, first.number)
    assert [{"version_id": newest.id, "percentage": 100}] == served["versions"]


def test_a_missing_binding_without_a_value_is_refused(server: Server, client: Cloudflare, absent_script: str) -> None:
    """A missing binding without a value is refused with its name, and nothing changes."""
    upload(client, absent_script, secret("S", "one"))
    bindings: Any = [{"type": "secret_text", "name": "S"}, {"type": "secret_text", "name": "NONE"}]
    with pytest.raises(BadRequestError) as raised:
        client.workers.scripts.script_and_version_settings.edit(
            absent_script, account_id=ACCOUNT, settings={"bindings": bindings}
        )

    assert (400, [10057]) == codes(raised.value)
    assert "'NONE'" in str(raised.value.errors[0].message)
    assert {"S": "one"} == opened(server.safe, absent_script)


def test_settings_of_the_script_make_no_version(client: Cloudflare, absent_script: str) -> None:
    """`settings.edit` changes only the named settings, at once; `get` and a list filtered by tag agree."""
    upload(client, absent_script, compatibility_date="2026-01-01")
    add_version(client, absent_script)
    settings = client.workers.scripts.settings
    observability: Any = {"enabled": True, "head_sampling_rate": 0.5}

    first = settings.edit(absent_script, account_id=ACCOUNT, logpush=True, tags=[f"of:{absent_script}"])
    then = settings.edit(
        absent_script, account_id=ACCOUNT, observability=observability, tail_consumers=[{"service": "consumer"}]
    )

    assert (True, [f"of:{absent_script}"]) == (first.logpush, first.tags)
    expected = {
        "logpush": True,
        "tags": [f"of:{absent_script}"],
        "observability": observability,
        "tail_consumers": [{"service": "consumer"}],
    }
    assert expected == fields(then) == fields(settings.get(absent_script, account_id=ACCOUNT))
    tagged = every(client.workers.scripts.list(account_id=ACCOUNT, tags=f"of:{absent_script}:yes"))
    assert [absent_script] == [script.id for script in tagged]
    assert 2 == len(every(client.workers.scripts.versions.list(absent_script, account_id=ACCOUNT)))


def test_settings_are_refused_over_an_undeployed_version(client: Cloudflare, absent_script: str) -> None:
    """Settings of a version are refused with 10214, since they would deploy undeployed code."""
    upload(client, absent_script)
    add_version(client, absent_script)
    with pytest.raises(BadRequestError) as raised:
        client.workers.scripts.script_and_version_settings.edit(
            absent_script, account_id=ACCOUNT, settings={"compatibility_date": "2026-01-01"}
        )

    assert (400, [10214]) == codes(raised.value)
    assert 2 == len(every(client.workers.scripts.versions.list(absent_script, account_id=ACCOUNT)))


def test_schedules_are_replaced_and_survive_uploads(client: Cloudflare, script: str) -> None:
    """Schedules are replaced as a whole and survive an upload; an invalid one is refused."""
    schedules = client.workers.scripts.schedules
    assert [] == schedules.get(script, account_id=ACCOUNT).schedules

    put = schedules.update(script, account_id=ACCOUNT, body=[{"cron": "*/30 * * * *"}, {"cron": "0 0 * * SUN"}])
    upload(client, script)
    with pytest.raises(BadRequestError) as raised:
        schedules.update(script, account_id=ACCOUNT, body=[{"cron": "whenever"}])

    assert (400, [10021]) == codes(raised.value)
    assert fields(put) == fields(schedules.get(script, account_id=ACCOUNT))
    assert ["*/30 * * * *", "0 0 * * SUN"] == [schedule.cron for schedule in put.schedules]
    schedules.update(script, account_id=ACCOUNT, body=[])
    assert [] == schedules.get(script, account_id=ACCOUNT).schedules


def test_subdomain_settings_survive_uploads(client: Cloudflare, script: str) -> None:
    """The subdomain's settings are stored, survive an upload, and can be reset."""
    subdomain = client.workers.scripts.subdomain
    off = {"enabled": False, "previews_enabled": False}
    assert off | {"enabled": True} == fields(subdomain.get(script, account_id=ACCOUNT))  # the default

    made = subdomain.create(script, account_id=ACCOUNT, enabled=True, previews_enabled=False)
    upload(client, script)

    assert {"enabled": True, "previews_enabled": False} == fields(made)
    assert fields(made) == fields(subdomain.get(script, account_id=ACCOUNT))
    assert off == fields(subdomain.delete(script, account_id=ACCOUNT))
    assert off == fields(subdomain.get(script, account_id=ACCOUNT))


def test_tails_cannot_be_created(client: Cloudflare, script: str) -> None:
    """The list of tails is empty, and creating or deleting one is refused."""
    tail = client.workers.scripts.tail
    calls: list[Callable[[], Any]] = [
        lambda: tail.create(script, account_id=ACCOUNT),
        lambda: tail.delete("some", account_id=ACCOUNT, script_name=script),
    ]

    assert [] == fields(tail.get(script, account_id=ACCOUNT))
    for call in calls:
        with pytest.raises(BadRequestError) as raised:
            call()
        assert (400, [10015]) == codes(raised.value)
