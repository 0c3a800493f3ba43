"""Attacks on the audit log: reading it, escaping from it, and writing into the log of others."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.audit.test_requests import recorded
from tests.unit.api.tools.driver import ACCOUNT, JSON, OTHER_ACCOUNT, SCRIPTS, Api, secret_at, secrets_of
from tests.unit.api.tools.tokens import READ, keep, policies_on, row

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import policies_for
from nightsafe.store.identities import Account

SETTINGS_READ = "c1fde68c7bcc44588cbb6ddbc16d6480"
EVER = "since=1970-01-01&before=9999-12-31"
VALUE = "a-canary-in-the-value"
SECRET = json.dumps({"name": "KEY", "type": "secret_text", "text": VALUE}).encode()


def token(api: Api, policies: bytes, **fields: Any) -> list[tuple[bytes, bytes]]:
    """Store a token, and return the header with it."""
    value = new_token()
    keep(api, row(value, policies, **fields))
    return [(b"authorization", b"Bearer " + value.encode())]


def test_a_token_with_account_settings_read_sees_the_log_of_its_account_only(own_api: Api) -> None:
    """With a token with Account Settings Read, an attacker can read the account's audit log: who did what, when and
    from which address, but cannot get a value, or read the log of another account or of its user.
    """
    assert 200 == own_api.upload("worker").status
    assert 200 == own_api.send("PUT", secrets_of("worker"), SECRET, [JSON]).status
    keep(own_api, Account(OTHER_ACCOUNT, "other", 1))
    by = token(own_api, policies_for(ACCOUNT, SETTINGS_READ))
    answers = {
        path: own_api.send("GET", f"/client/v4/{path}", headers=by, anonymous=True)
        for path in (
            f"accounts/{ACCOUNT}/logs/audit?{EVER}",
            f"accounts/{ACCOUNT}/audit_logs",
            f"accounts/{OTHER_ACCOUNT}/logs/audit?{EVER}",
            f"accounts/{OTHER_ACCOUNT}/audit_logs",
            "user/audit_logs",
        )
    }
    put = next(entry for entry in next(iter(answers.values())).result if entry["action"]["type"] == "update")

    assert [200, 200, 403, 403, 403] == [answer.status for answer in answers.values()]
    assert ("owner@example.com", "192.0.2.7") == (put["actor"]["email"], put["actor"]["ip_address"])
    assert "Put secret: set KEY" == put["action"]["description"]
    assert not [path for path, answer in answers.items() if VALUE.encode() in answer.body]


def test_refusals_are_recorded_and_bounded(own_api: Api) -> None:
    """When a policy refuses a request with valid credentials, the audit log has an entry of it; from the eleventh
    in a minute on, for one credential and action in one API process, it has only their number.
    """
    by = token(own_api, policies_on("other"))
    for _ in range(40):
        answer = own_api.send("PUT", secrets_of("worker"), SECRET, [*by, JSON], anonymous=True)
        assert (403, [10000]) == answer.refusal
    entries = recorded(own_api)

    assert [*[0] * 10, 30] == [entry.get("repeated", 0) for entry in entries]
    assert {"refused"} == {entry["outcome"] for entry in entries}
    assert VALUE not in str(entries)


def test_a_refused_outsider_writes_nothing_into_the_log_of_an_account(own_api: Api) -> None:
    """A caller without any permission in an account cannot write into its audit log by being refused."""
    keep(own_api, Account(OTHER_ACCOUNT, "other", 1))
    by = token(own_api, policies_for(ACCOUNT, ALL_ACCESS))
    elsewhere = SCRIPTS.replace(ACCOUNT, OTHER_ACCOUNT)
    for _ in range(20):
        assert 403 == own_api.send("GET", elsewhere, headers=by, anonymous=True).status

    assert [] == recorded(own_api, OTHER_ACCOUNT)


def test_reads_are_not_recorded(own_api: Api) -> None:
    """The audit log has no reads unless `--audit-reads` is given."""
    assert 200 == own_api.upload("worker").status
    assert 200 == own_api.send("GET", secrets_of("worker")).status

    assert [] == recorded(own_api)


@pytest.mark.parametrize("end", ["crash", "full disk"])
def test_entries_that_wait_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Entries of refusals and reads are written in the background: a crash of the API process, or a disk that stays
    full, loses those that wait in memory.
    """
    with Api(tmp_path) as api:
        by = token(api, policies_for(ACCOUNT, READ))
        for _ in range(20):  # the number of the last ten waits for the end of the minute
            assert 403 == api.send("PUT", secrets_of("worker"), SECRET, [*by, JSON], anonymous=True).status
        recorder = api.app._recorder
        if end == "crash":
            api.app = api._new_app()
        else:

            async def fail(_: object) -> None:
                """Fail as the store does when the disk is full."""
                raise NightsafeError(Code.DISK_FULL)

            monkeypatch.setattr(recorder._store, "commit", fail)
        entries = recorded(api)
        for window in recorder._windows.values():
            window.timer.cancel()

    assert 0 == sum(entry.get("repeated", 0) for entry in entries)


def test_the_log_has_names_in_paths(own_api: Api) -> None:
    """The audit log has the path of each changing or refused request, so it also has a value that a client mistakes
    for a name.
    """
    by = token(own_api, policies_for(ACCOUNT, READ))
    assert 403 == own_api.send("DELETE", secret_at("worker", VALUE), headers=by, anonymous=True).status
    (entry,) = recorded(own_api)

    assert VALUE in entry["uri"]
