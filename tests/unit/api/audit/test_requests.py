"""Requests that change nothing in the audit log: refusals by policy, and reads with `--audit-reads`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.identity.test_tokens import policy, wanted
from tests.unit.api.tools.driver import (
    ACCOUNT,
    JSON,
    OTHER_ACCOUNT,
    SCRIPTS,
    Api,
    script_at,
    sealing_safe,
    secret_at,
    secrets_of,
)
from tests.unit.api.tools.tokens import READ, keep, policies_on, row

from nightsafe.errors import Code
from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import policies_for
from nightsafe.services.delivery.bundles import Bundles, Cursor

SECRET = json.dumps({"name": "KEY", "type": "secret_text", "text": "a-value"}).encode()
FROM_ELSEWHERE = b'{"request_ip":{"in":["198.51.100.0/24"]}}'


@pytest.fixture
def reading_api(tmp_path: Path) -> Iterator[Api]:
    """Yield an API that also records reads, with a script that has one secret."""
    with Api(tmp_path, audit_reads=True) as api:
        assert 200 == api.upload("worker").status
        assert 200 == api.send("PUT", secrets_of("worker"), SECRET, [JSON]).status
        yield api


def recorded(api: Api, account_id: str = ACCOUNT) -> list[dict[str, Any]]:
    """Return the entries of requests that changed nothing, after all of them are written."""
    api.run(api.app.close())
    api.app = api._new_app()
    entries = api.run(api.store.audit_entries(account_id, 0, 10_000))
    decoded = [json.loads(entry.entry) for _, entry in entries]
    return [entry for entry in decoded if "outcome" in entry]


def token(api: Api, policies: bytes, **fields: Any) -> list[tuple[bytes, bytes]]:
    """Store a token, and return the header with it."""
    value = new_token()
    keep(api, row(value, policies, token_id="7" * 32, **fields))
    return [(b"authorization", b"Bearer " + value.encode())]


def test_a_refusal_by_policy_is_recorded(own_api: Api) -> None:
    """A valid token without the permission leaves an entry with the action, the script and the path."""
    by = token(own_api, policies_on("other"))
    answer = own_api.send("PUT", secrets_of("worker") + "?x=canary", SECRET, [*by, JSON], anonymous=True)
    (entry,) = recorded(own_api)

    assert (403, [10000]) == answer.refusal
    assert ("secrets.write", "worker", "not_permitted", 403) == tuple(
        entry[name] for name in ("action", "script", "reason", "status")
    )
    assert "workers/scripts/worker/secrets" == entry["uri"]
    assert "7" * 32 == entry["actor"]
    assert "canary" not in str(entry)


def test_each_kind_of_refusal_is_recorded(own_api: Api) -> None:
    """Refusals of an address, of code that reaches too far, and of a token that gives too much are recorded."""
    assert 200 == own_api.upload("target").status
    by = token(own_api, policies_for(ACCOUNT, ALL_ACCESS), condition=FROM_ELSEWHERE)
    assert 403 == own_api.send("GET", SCRIPTS, headers=by, anonymous=True).status
    own_api.bearer, owner = token(own_api, policies_on("worker"), user_id="e" * 32)[0], own_api.bearer
    binding = {"name": "B", "type": "service", "service": "target"}
    assert 403 == own_api.upload("worker", {"main_module": "worker.js", "bindings": [binding]}).status
    own_api.bearer = token(own_api, policies_for(ACCOUNT, "5bc3f8b21c554832afc660159ab75fa4"))[0]
    body = json.dumps(wanted(policy(READ))).encode()
    assert 403 == own_api.send("POST", f"/client/v4/accounts/{ACCOUNT}/tokens", body, [JSON]).status
    own_api.bearer = owner

    assert [Code.ADDRESS_REFUSED, Code.TARGET_NOT_GRANTED, Code.TOKEN_EXCEEDS] == [
        entry["reason"] for entry in recorded(own_api)
    ]


def test_other_refusals_and_unknown_credentials_are_not_recorded(own_api: Api) -> None:
    """A missing script, invalid input, unknown credentials and missing ones leave no entry."""
    assert 404 == own_api.send("GET", secrets_of("absent")).status
    assert 400 == own_api.send("PUT", secrets_of("worker"), b"]", [JSON]).status
    unknown = [(b"authorization", b"Bearer " + new_token().encode())]
    assert 403 == own_api.send("GET", SCRIPTS, headers=unknown, anonymous=True).status
    assert 400 == own_api.send("GET", SCRIPTS, anonymous=True).status

    assert [] == recorded(own_api) == recorded(own_api, "")


def test_a_refusal_outside_of_accounts_is_in_the_log_of_the_user(own_api: Api) -> None:
    """A refused request of a user, or for an account without access, is in the user's log only."""
    by = token(own_api, policies_for(ACCOUNT, READ), user_id="d" * 32)
    assert 403 == own_api.send("GET", "/client/v4/user", headers=by, anonymous=True).status
    elsewhere = SCRIPTS.replace(ACCOUNT, OTHER_ACCOUNT)
    assert 403 == own_api.send("GET", elsewhere, headers=by, anonymous=True).status

    assert [] == recorded(own_api) == recorded(own_api, OTHER_ACCOUNT)
    assert [("/user", "d" * 32), ("workers/scripts", "d" * 32)] == [
        (entry["uri"], entry["user"]) for entry in recorded(own_api, "")
    ]


def test_a_full_disk_does_not_change_a_refusal(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing can be written, a refused request still gets its 403."""
    by = token(own_api, policies_for(ACCOUNT, READ))

    def fail(_: object) -> None:
        """Fail as a full disk does."""
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(own_api.store._writer), "submit", lambda _, change: fail(change))
    for _ in range(30):
        answer = own_api.send("PUT", secrets_of("worker"), SECRET, [*by, JSON], anonymous=True)
        assert (403, [10000]) == answer.refusal


def test_reads_are_recorded_on_demand_only(own_api: Api) -> None:
    """Without the setting, reads leave no entry."""
    assert 200 == own_api.upload("worker").status
    for target in (SCRIPTS, script_at("worker"), secrets_of("worker")):
        assert 200 == own_api.send("GET", target).status

    assert [] == recorded(own_api)


def test_every_way_to_read_is_recorded(reading_api: Api) -> None:
    """With the setting, each successful read has an entry, by the fast path and by the router alike."""
    target = secret_at("worker", "KEY")
    assert 200 == reading_api.send("GET", target, to=reading_api.router).status
    assert 200 == reading_api.send("GET", target, headers=[(b"user-agent", b"curl")]).status
    assert 200 == reading_api.send("GET", target, headers=[(b"user-agent", b"curl")]).status
    assert 200 == reading_api.send("GET", SCRIPTS).status
    assert 200 == reading_api.send("GET", "/client/v4/user").status
    assert 404 == reading_api.send("GET", secret_at("worker", "ABSENT")).status
    entries = recorded(reading_api)
    slow, first, second, listed = entries

    for entry in entries:
        entry.pop("at")
    assert first == second == slow | {"agent": "curl"}
    assert ("viewed", "secrets.read", "worker", "KEY", 200) == tuple(
        slow[name] for name in ("outcome", "action", "script", "resource", "status")
    )
    assert ("scripts.read", "workers/scripts") == (listed["action"], listed["uri"])
    assert ["/user"] == [entry["uri"] for entry in recorded(reading_api, "")]


def test_polls_of_delivery_processes_are_not_recorded(reading_api: Api) -> None:
    """The requests that delivery processes repeat all the time have no entries, but a fetched bundle has one."""
    by = token(reading_api, policies_for(ACCOUNT, "6e6967687473616665206465c16976e1"))
    base = f"/client/v4/accounts/{ACCOUNT}/nightsafe"
    assert 200 == reading_api.send("GET", f"{base}/changes?wait=0", headers=by, anonymous=True).status
    answer = reading_api.try_send("GET", f"{base}/bundles/worker", headers=by, anonymous=True)
    assert answer is not None
    assert 200 == answer.status

    assert ["nightsafe/bundles/worker"] == [entry["uri"] for entry in recorded(reading_api)]


def test_reads_and_refusals_change_nothing_for_delivery(reading_api: Api) -> None:
    """A script that was only read is not delivered again."""
    head = reading_api.run(reading_api.store.audit_head(ACCOUNT))
    assert 200 == reading_api.send("GET", secrets_of("worker")).status
    assert 1 == len(recorded(reading_api))
    bundles = Bundles(reading_api.store, sealing_safe())
    changes = reading_api.run(bundles.changes(ACCOUNT, Cursor.of(head.number, head.leaf)))

    assert (head.number + 1, ()) == (changes.cursor.number, changes.scripts)


def test_an_iteration_ends_although_it_is_recorded(reading_api: Api) -> None:
    """Reading the log page by page ends, although each page adds an entry."""
    query, cursor, pages = "since=1970-01-01&before=9999-12-31&direction=asc&limit=1", "", 0
    while pages < 50:
        answer = reading_api.send("GET", f"/client/v4/accounts/{ACCOUNT}/logs/audit?{query}&cursor={cursor}")
        pages, cursor = pages + 1, answer.envelope["result_info"]["cursor"]
        if not cursor:
            break

    assert 3 == pages
