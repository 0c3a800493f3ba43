"""`GET /accounts/{account_id}/audit_logs` and `GET /user/audit_logs`: version 1 of the audit log."""

import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.unit.api.audit.test_logs import BY_ALICE, DAY, EVENTS, LOGS, SETTINGS_READ, write
from tests.unit.api.tools.driver import ACCOUNT, Answer, Api
from tests.unit.api.tools.tokens import keep, row

from nightsafe.audit.entry import AuditEvent
from nightsafe.identity.credentials import digest, new_key, new_token
from nightsafe.identity.policy import USER_RESOURCE, allow_policy, encode_policies, policies_for
from nightsafe.store.identities import User

LOGS_V1 = f"/client/v4/accounts/{ACCOUNT}/audit_logs"
OF_USER = "/client/v4/user/audit_logs"
PERIOD = {"since": "2020-01-01", "before": "2020-01-07"}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Yield an API with the events, one on each day from 2020-01-01 on."""
    with Api(tmp_path_factory.mktemp("api")) as api:
        start = 18_262 * DAY
        write(api, *(
            AuditEvent(at=start + day * DAY, account_id=ACCOUNT, **fields)
            for day, fields in enumerate(EVENTS.values())
        ))  # fmt: skip
        yield api


def ask(api: Api, **fields: object) -> Answer:
    """Ask for the log, by default of the events."""
    return api.send("GET", f"{LOGS_V1}?{urlencode(PERIOD | fields)}")


def actions(api: Api, **fields: object) -> list[str]:
    """Return the types of the actions that a query finds."""
    return [entry["action"]["type"] for entry in ask(api, **fields).result]


def test_an_entry_has_the_form_of_version_1(logged: Api) -> None:
    """An entry has the members of the platform's version 1; the metadata has what is known beyond them."""
    (entry,) = ask(logged, before="2020-01-02").result

    assert 32 == len(entry.pop("id"))
    assert {
        "action": {"type": "secrets.put", "result": True},
        "actor": {"id": "a" * 32, "email": "alice@example.com", "ip": "192.0.2.1", "type": "user"},
        "interface": "API",
        "metadata": {"token_id": "1" * 32, "token_name": "ci", "script": "one", "set": ["KEY"]},
        "owner": {"id": "a" * 32},
        "resource": {"id": "one", "type": "secret"},
        "when": "2020-01-01T00:00:00Z",
    } == entry


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"action.type": "secrets.put"}, ["secrets.put"]),
        ({"action.type": "other"}, []),
        ({"actor.email": "BOB@example.com"}, ["secrets.read", "scripts.delete"]),
        ({"actor.ip": "192.0.2.2"}, ["secrets.read", "scripts.delete"]),
        ({"actor.ip": "192.0.2.0/31"}, ["pages.write", "secrets.put"]),
        ({"actor.ip": "2001:db8::/32"}, []),
        ({"zone.name": "example.com"}, []),
        ({"since": "2020-01-05"}, ["stores.create", "memberships.create"]),
        ({"direction": "asc", "per_page": 2}, ["secrets.put", "scripts.delete"]),
        ({"direction": "asc", "per_page": "2.0", "page": "2.0"}, ["pages.write", "secrets.read"]),
        ({"per_page": 4, "page": 2}, ["scripts.delete", "secrets.put"]),
        ({"page": 2}, []),
        ({"id": "0" * 32}, []),
        ({"id": "none"}, []),
        ({"hide_user_logs": "true", "action.type": "secrets.put"}, ["secrets.put"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_parameter_selects_entries(logged: Api, fields: dict[str, object], found: list[str]) -> None:
    """Each parameter selects entries as the platform documents it."""
    assert found == actions(logged, **fields)


def test_an_id_selects_one_entry_and_is_the_same_in_both_versions(logged: Api) -> None:
    """`id` finds one entry, and an entry has the same ID in version 2."""
    newest, *_ = ask(logged).result
    in_v2 = logged.send("GET", f"{LOGS}?{urlencode(PERIOD | {'limit': 1})}").result

    assert [newest] == ask(logged, id=newest["id"]).result
    assert newest["id"] == in_v2[0]["id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"page": 0}, {"per_page": 1001}, {"direction": "up"}, {"export": "yes"}, {"hide_user_logs": "1"},
        {"actor.ip": "here"}, {"since": "1.1.2020"}, {"action_type": "create"}, {"since": "2021-01-01"},
    ],
    ids=str,
)  # fmt: skip
def test_an_invalid_parameter_is_refused(logged: Api, fields: dict[str, object]) -> None:
    """A malformed or unknown parameter is refused."""
    assert (400, [10021]) == ask(logged, **fields).refusal


def test_an_export_is_csv_without_formulas(own_api: Api) -> None:
    """`export=true` answers with CSV of the same entries; a field that a spreadsheet would run is quoted."""
    fields: dict[str, Any] = EVENTS["put"] | {"script": '=HYPERLINK("x")', "set": ('a,"b"',)}
    write(own_api, AuditEvent(at=DAY, account_id=ACCOUNT, **fields))
    answer = own_api.try_send("GET", f"{LOGS_V1}?export=true&before=1970-02-01")
    assert answer is not None
    header, line = csv.reader(io.StringIO(answer.body.decode()))

    assert (200, b"text/csv; charset=utf-8") == (answer.status, answer.header(b"content-type"))
    assert b"no-store" == answer.header(b"cache-control")
    assert '\'=HYPERLINK("x")' == line[header.index("resource.id")]
    assert "1970-01-02T00:00:00Z" == line[header.index("when")]
    assert '"a,\\"b\\""' in line[header.index("metadata")]


ALICE = User("a" * 32, "alice@example.com", b"x" * 32, 1)
BOB = User("b" * 32, "bob@example.com", b"y" * 32, 1)


def of_user(api: Api, user: User, groups: str = SETTINGS_READ, query: str = "") -> Answer:
    """Ask for a user's log, by a new token of that user."""
    token = new_token()
    policies = encode_policies([allow_policy(USER_RESOURCE + user.id, groups)])
    keep(api, row(token, policies, user_id=user.id))
    headers = [(b"authorization", b"Bearer " + token.encode())]
    return api.send("GET", f"{OF_USER}?{query}", headers=headers, anonymous=True)


def test_a_user_reads_only_their_own_entries(own_api: Api) -> None:
    """The log of a user has the entries about this user that belong to no account, and nothing of other users."""
    keep(own_api, ALICE, BOB)
    old = {name: value for name, value in BY_ALICE.items() if name != "user_id"}
    mine: Any = {"action": "tokens.create", "account_id": "", "resource": "t" * 32}
    write(
        own_api,
        AuditEvent(at=1, **BY_ALICE, **mine),
        AuditEvent(at=2, **old, **mine),
        AuditEvent(at=3, actor="", actor_kind="operator", user_id=ALICE.id, **mine),
        AuditEvent(at=4, actor="", actor_kind="operator", **mine),
        AuditEvent(at=5, actor=BOB.id, actor_kind="key", user_id=BOB.id, email=BOB.email, **mine),
        AuditEvent(at=6, **BY_ALICE, action="secrets.put", account_id=ACCOUNT),
        AuditEvent(at=7, **(old | {"actor_kind": "account_token"}), **mine),
    )

    assert [3, 2, 1] == [int(entry["when"][-3:-1]) for entry in of_user(own_api, ALICE).result]
    assert 1 == len(of_user(own_api, BOB).result)
    assert [] == of_user(own_api, ALICE, query="hide_user_logs=true").result
    assert 2 == len(of_user(own_api, ALICE, query="per_page=2").result)


def test_the_log_of_a_user_needs_a_permission_on_the_user(own_api: Api) -> None:
    """A permission on an account, an account's token, and another permission on the user do not admit to it.

    The user's own key does.
    """
    api_key = new_key()
    alice = User(ALICE.id, ALICE.email, digest(api_key), 1)
    keep(own_api, alice)
    on_account, of_account = new_token(), new_token()
    keep(
        own_api,
        row(on_account, policies_for(ACCOUNT, SETTINGS_READ), user_id=alice.id),
        row(of_account, policies_for(ACCOUNT, SETTINGS_READ), account_id=ACCOUNT),
    )
    refused = [
        own_api.send("GET", OF_USER, headers=[(b"authorization", f"Bearer {token}".encode())], anonymous=True)
        for token in (on_account, of_account)
    ]
    by_key = [(b"x-auth-email", alice.email.encode()), (b"x-auth-key", api_key.encode())]

    assert [(403, [9109])] * 2 == [answer.refusal for answer in refused]
    assert (403, [9109]) == of_user(own_api, alice, "8acbe5bb0d54464ab867149d7f7cf8ac").refusal
    assert 200 == own_api.send("GET", OF_USER, headers=by_key, anonymous=True).status
