"""`GET /accounts/{account_id}/logs/audit`: filters, periods, pages and refusals."""

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.unit.api.tools.driver import ACCOUNT, OTHER_ACCOUNT, Answer, Api, secret_at
from tests.unit.api.tools.tokens import READ, keep, row

from nightsafe.api.audit.filters import FILTERS
from nightsafe.audit.entry import AuditEvent, entry_for
from nightsafe.identity.credentials import new_token
from nightsafe.identity.permissions import ALL_ACCESS
from nightsafe.identity.policy import ACCOUNT_RESOURCE, allow_policy, encode_policies, policies_for
from nightsafe.store.changes import Change
from nightsafe.store.identities import Account

LOGS = f"/client/v4/accounts/{ACCOUNT}/logs/audit"
SETTINGS_READ = "c1fde68c7bcc44588cbb6ddbc16d6480"
SETTINGS_WRITE = "1af1fa2adc104452b74a9a3364202f20"
EVER = {"since": "1970-01-01", "before": "9999-12-31"}
DAY = 86_400_000_000

A, B = "1" * 32, "2" * 32
BY_ALICE: dict[str, Any] = {
    "actor": A, "actor_kind": "token", "user_id": "a" * 32, "email": "alice@example.com", "token_name": "ci",
    "address": "192.0.2.1",
}  # fmt: skip
BY_BOB: dict[str, Any] = {
    "actor": "b" * 32, "actor_kind": "key", "user_id": "b" * 32, "email": "bob@example.com", "address": "192.0.2.2",
}  # fmt: skip
EVENTS: dict[str, dict[str, Any]] = {
    "put": BY_ALICE | {"action": "secrets.put", "script": "one", "set": ("KEY",), "method": "PUT",
                       "uri": "workers/scripts/one/secrets", "user_agent": "curl"},
    "delete": BY_BOB | {"action": "scripts.delete", "script": "two", "method": "DELETE",
                        "uri": "workers/scripts/two"},
    "refused": BY_ALICE | {"action": "pages.write", "method": "POST", "uri": "pages/projects", "status": 403,
                           "outcome": "refused", "reason": "not_permitted"},
    "viewed": BY_BOB | {"action": "secrets.read", "script": "one", "resource": "KEY", "method": "GET", "status": 200,
                        "uri": "workers/scripts/one/secrets/KEY", "outcome": "viewed"},
    "operator": {"action": "memberships.create", "actor": "", "actor_kind": "operator", "resource": "b" * 32},
    "account": {"action": "stores.create", "actor": B, "actor_kind": "account_token", "resource": "s" * 32,
                "token_name": "deploy", "email": "alice@example.com"},
}  # fmt: skip


def write(api: Api, *events: AuditEvent) -> None:
    """Write entries."""
    for event in events:
        api.run(api.store.commit(Change(at=event.at, audit=entry_for(event))))


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


def ask(api: Api, query: object = (), **fields: object) -> Answer:
    """Ask for the log, by default of all times."""
    given: Any = EVER | fields if query == () else query
    return api.send("GET", f"{LOGS}?{urlencode(given, doseq=True)}")


def names(api: Api, **fields: object) -> set[str]:
    """Return the names of the events that a query finds; the rest of the log is left out."""
    times = {f"2020-01-{day:02}T00:00:00Z": name for day, name in enumerate(EVENTS, 1)}
    found = [times.get(entry["action"]["time"], "") for entry in ask(api, **fields).result]
    return {name for name in found if name}


def test_an_entry_has_the_form_of_the_platform(logged: Api) -> None:
    """An entry has the members of the platform's API as far as they are known, and no others."""
    (entry,) = ask(logged, since="2020-01-01", before="2020-01-02").result

    assert 32 == len(entry.pop("id"))
    assert {
        "account": {"id": ACCOUNT, "name": "an account"},
        "action": {
            "description": "Put secret: set KEY",
            "result": "success",
            "time": "2020-01-01T00:00:00Z",
            "type": "update",
        },
        "actor": {
            "id": "a" * 32,
            "context": "api_token",
            "email": "alice@example.com",
            "ip_address": "192.0.2.1",
            "token_id": A,
            "token_name": "ci",
            "type": "user",
        },
        "raw": {"method": "PUT", "uri": f"/accounts/{ACCOUNT}/workers/scripts/one/secrets", "user_agent": "curl"},
        "resource": {"id": "one", "product": "workers", "scope": "accounts", "type": "secret"},
    } == entry


CASES: list[tuple[str, list[str], set[str]]] = [
    ("account_name", ["an account"], set(EVENTS)),
    ("account_name", ["another"], set()),
    ("action_result", ["failure"], {"refused"}),
    ("action_result", ["failure", "success"], set(EVENTS)),
    ("action_type", ["delete", "view"], {"delete", "viewed"}),
    ("actor_context", ["api_key"], {"delete", "viewed"}),
    ("actor_context", ["dash"], set()),
    ("actor_email", ["Alice@Example.com"], {"put", "refused"}),
    ("actor_id", ["b" * 32], {"delete", "viewed"}),
    ("actor_id", [ACCOUNT], {"account"}),
    ("actor_ip_address", ["192.0.2.1"], {"put", "refused"}),
    ("actor_token_id", [A, B], {"put", "refused", "account"}),
    ("actor_token_name", ["deploy"], {"account"}),
    ("actor_type", ["cloudflare_admin", "account"], {"operator", "account"}),
    ("raw_cf_ray_id", ["8e9b1c60ef9e1c9a"], set()),
    ("raw_method", ["put", "DELETE"], {"put", "delete"}),
    ("raw_status_code", ["403"], {"refused"}),
    ("raw_status_code", ["200", "403"], {"refused", "viewed"}),
    ("raw_uri", [f"/accounts/{ACCOUNT}/workers/scripts/two"], {"delete"}),
    ("resource_id", ["one/KEY", "s" * 32], {"viewed", "account"}),
    ("resource_product", ["secrets_store", "pages"], {"account", "refused"}),
    ("resource_scope", ["memberships"], {"operator"}),
    ("resource_type", ["secret"], {"put", "viewed"}),
    ("zone_id", ["z" * 32], set()),
    ("zone_name", ["example.com"], set()),
]


@pytest.mark.parametrize(
    ("name", "values", "found"), CASES, ids=[f"{name} {values[0][:20]}" for name, values, _ in CASES]
)
def test_a_filter_finds_its_entries_and_its_not_finds_the_others(
    logged: Api, name: str, values: list[str], found: set[str]
) -> None:
    """A filter finds the entries with one of its values; with `.not` it finds all others, also without the fact."""
    assert found == names(logged, **{name: values})
    assert set(EVENTS) - found == names(logged, **{f"{name}.not": values})


def test_ids_are_filters_too(logged: Api) -> None:
    """`id` and `audit_log_id` find entries by their IDs, and leave them out with `.not`."""
    first, second, *_ = ask(logged, direction="asc", since="2020-01-01", before="2020-01-07").result
    both = [first["id"], second["id"]]

    for name in ("id", "audit_log_id"):
        assert {"put", "delete"} == names(logged, **{name: both})
        assert {"delete"} == names(logged, **{name: both[1]})
        assert set() == names(logged, **{name: "f" * 32}) == names(logged, **{name: both[0][:16] + "0" * 16})
        assert set() == names(logged, **{name: "no id"})
        assert set(EVENTS) - {"put", "delete"} == names(logged, **{f"{name}.not": both})


def test_every_filter_has_a_case() -> None:
    """Each filter of the API, and its `.not`, is in a test of this file."""
    covered = {name for name, _, _ in CASES} | {"id", "audit_log_id"}

    assert FILTERS == covered | {f"{name}.not" for name in covered} | {"product_category"}


def test_all_filters_must_agree(logged: Api) -> None:
    """An entry is found only if it meets every filter."""
    assert {"viewed"} == names(logged, resource_type="secret", actor_email="bob@example.com")
    assert {"put"} == names(logged, **{"resource_type": "secret", "action_type.not": "view"})
    assert set() == names(logged, resource_type="secret", action_type="delete")


def test_a_product_category_stands_for_its_products(logged: Api) -> None:
    """A category is united with the products that are named, and the list of categories has every one."""
    categories = logged.send("GET", f"{LOGS}/product_categories").result

    assert {"account", "developer_platform", "keys"} == {category["value"] for category in categories}
    assert {"operator"} == names(logged, product_category="Account")
    assert {"operator", "refused"} == names(logged, product_category="account", resource_product="pages")
    assert {"value": "members", "label": "Members"} in categories[0]["products"]
    assert (400, [10021]) == ask(logged, product_category="plants").refusal


def test_a_period_begins_with_since_and_ends_before_before(logged: Api) -> None:
    """`since` is included and `before` is not; both take a date in UTC, or a time with an offset."""
    assert {"delete", "refused"} == names(logged, since="2020-01-02", before="2020-01-04")
    assert {"refused"} == names(logged, since="2020-01-02T00:00:00.000001Z", before="2020-01-04T01:00:00+01:00")
    assert set() == names(logged, since="2020-01-02", before="2020-01-02")


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7])
def test_pages_are_complete(logged: Api, direction: str, limit: int) -> None:
    """Pages of any size have every entry once, in the requested direction; the last page has no cursor."""
    period = {"since": "2020-01-01", "before": "2020-01-07", "direction": direction}
    whole = [entry["id"] for entry in ask(logged, period).result]
    listed, cursor = [], ""
    for _ in range(6):
        answer = ask(logged, {**period, "limit": limit, "cursor": cursor})
        info = answer.envelope["result_info"]
        assert {"count": len(answer.result), "per_page": limit, "cursor": info["cursors"]["after"]} == {
            name: info[name] for name in ("count", "per_page", "cursor")
        }
        listed += [entry["id"] for entry in answer.result]
        cursor = info["cursors"]["after"]
        if not cursor:
            break
        assert limit == len(answer.result)

    assert whole == listed
    assert 6 == len(whole)
    assert "" == cursor


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_are_complete_while_the_log_grows(own_api: Api, direction: str) -> None:
    """Entries that are written between two pages are neither in the later pages, nor do they move others."""
    days = itertools.count(1)

    def event() -> AuditEvent:
        """Return the event of the next day."""
        return AuditEvent(at=next(days) * DAY, account_id=ACCOUNT, **EVENTS["put"])

    write(own_api, *(event() for _ in range(7)))
    before = [entry["id"] for entry in ask(own_api, direction=direction).result]
    listed, cursor = [], ""
    while True:
        answer = ask(own_api, direction=direction, limit=2, cursor=cursor)
        listed += [entry["id"] for entry in answer.result]
        cursor = answer.envelope["result_info"]["cursor"]
        if not cursor:
            break
        write(own_api, event())

    assert before == listed


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"since": "2020-01-01"}, "'before' is required"),
        ({"before": "2020-01-01"}, "'since' is required"),
        ({"since": "yesterday", "before": "2020-01-01"}, "'since' must be a date"),
        ({"since": "2020-01-01T00:00:00", "before": "2020-01-01"}, "with an offset"),
        ({"since": "2020-02-30", "before": "2020-03-01"}, "'since' must be a date"),
        ({"since": "2020-01-02", "before": "2020-01-01"}, "must not be later"),
        (EVER | {"limit": "0"}, "'limit' must be"),
        (EVER | {"limit": "1001"}, "from 1 to 1000"),
        (EVER | {"limit": "x"}, "'limit' must be"),
        (EVER | {"direction": "up"}, "'direction' must be one of: desc, asc"),
        (EVER | {"action_result": "maybe"}, "'action_result' must be one of"),
        (EVER | {"action_type.not": "login"}, "'action_type.not' must be one of"),
        (EVER | {"raw_status_code": "ok"}, "'raw_status_code' must be a whole number"),
        (EVER | {"actor_emial": "a@example.com"}, "no query parameter 'actor_emial'"),
        (EVER | {"x\n": "1"}, "no query parameter '?'"),
        (EVER | {"product_category.not": "account"}, "no query parameter"),
        (EVER | {"cursor": "abc"}, "'cursor' must come from"),
        (EVER | {"cursor": "A" * 32}, "'cursor' must come from"),
        (EVER | {"cursor": "é"}, "'cursor' must come from"),
        ([(f"p{number}", "") for number in range(101)], "at most 100"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_meant_is_refused(logged: Api, fields: object, words: str) -> None:
    """A missing, malformed or unknown parameter is refused by name, with what to do."""
    answer = ask(logged, fields)

    assert (400, [10021]) == answer.refusal
    assert words in answer.messages[0]


def test_a_cursor_belongs_to_one_account_and_direction(logged: Api) -> None:
    """A cursor is refused in another account, in another direction, and when it was altered."""
    cursor = ask(logged, limit=1).envelope["result_info"]["cursor"]
    keep(logged, Account(OTHER_ACCOUNT, "other", 1))
    token = new_token()
    keep(logged, row(token, policies_for(OTHER_ACCOUNT, ALL_ACCESS)))
    query = urlencode(EVER | {"cursor": cursor})
    elsewhere = logged.send(
        "GET",
        f"{LOGS.replace(ACCOUNT, OTHER_ACCOUNT)}?{query}",
        headers=[(b"authorization", b"Bearer " + token.encode())],
        anonymous=True,
    )

    assert 200 == ask(logged, cursor=cursor).status
    assert (400, [10021]) == elsewhere.refusal
    assert (400, [10021]) == ask(logged, cursor=cursor, direction="asc").refusal
    assert (400, [10021]) == ask(logged, cursor=cursor[:-2] + "AA").refusal


@pytest.mark.parametrize(
    ("policies", "status"),
    [
        (policies_for(ACCOUNT, SETTINGS_READ), 200),
        (policies_for(ACCOUNT, SETTINGS_WRITE), 200),
        (policies_for(ACCOUNT, ALL_ACCESS), 200),
        (policies_for(ACCOUNT, READ), 403),
        (policies_for(OTHER_ACCOUNT, SETTINGS_READ), 403),
        (encode_policies([allow_policy(ACCOUNT_RESOURCE + ACCOUNT, ALL_ACCESS, scripts=["*"])]), 403),
    ],
    ids=["settings read", "settings write", "all access", "scripts read", "other account", "all scripts"],
)
@pytest.mark.parametrize("path", ["logs/audit", "logs/audit/product_categories", "audit_logs"])
def test_the_log_needs_account_settings(logged: Api, policies: bytes, status: int, path: str) -> None:
    """Account Settings Read or Write on the account admits to its log; permissions on its scripts do not."""
    token = new_token()
    keep(logged, row(token, policies))
    query = urlencode(EVER) if path == "logs/audit" else ""
    answer = logged.send(
        "GET",
        f"/client/v4/accounts/{ACCOUNT}/{path}?{query}",
        headers=[(b"authorization", b"Bearer " + token.encode())],
        anonymous=True,
    )

    assert status == answer.status


def test_the_history_of_a_resource_is_refused_with_another_way(logged: Api) -> None:
    """The platform's call for the history of a resource names the filter to use instead."""
    answer = logged.send("GET", f"{LOGS}/{'0' * 32}/history")

    assert (400, [10015]) == answer.refusal
    assert "resource_id" in answer.messages[0]


def test_a_write_over_the_api_is_shown_with_its_request(own_api: Api) -> None:
    """A write has the method, the path without its query, and the client; the query and the value are nowhere."""
    assert 200 == own_api.upload("worker", query="?canary=in-the-query").status
    assert 200 == own_api.put("worker", {"name": "KEY", "type": "secret_text", "text": "a-canary-value"}).status
    answer = own_api.send("DELETE", secret_at("worker", "KEY"), headers=[(b"user-agent", b"x" * 500)])
    assert 200 == answer.status
    answer = ask(own_api, limit=3)

    assert [
        ("DELETE", f"/accounts/{ACCOUNT}/workers/scripts/worker/secrets/KEY", "x" * 128),
        ("PUT", f"/accounts/{ACCOUNT}/workers/scripts/worker/secrets", None),
        ("PUT", f"/accounts/{ACCOUNT}/workers/scripts/worker", None),
    ] == [(e["raw"]["method"], e["raw"]["uri"], e["raw"].get("user_agent")) for e in answer.result]
    assert b"canary" not in answer.body
