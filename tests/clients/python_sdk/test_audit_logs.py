"""`client.accounts.logs.audit`, `client.audit_logs` and `client.user.audit_logs` of the official Python SDK."""

import datetime as dt
from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare, PermissionDeniedError
from tests.clients.python_sdk.tools.settling import gathered, settled
from tests.clients.python_sdk.tools.workers import upload
from tests.server import ACCOUNT, Server

SCRIPTS_READ = "1a71c399035b4950a1bd1466bbe4f420"
FILTERS = (
    "account_name",
    "action_result",
    "action_type",
    "actor_context",
    "actor_email",
    "actor_id",
    "actor_ip_address",
    "actor_token_id",
    "actor_token_name",
    "actor_type",
    "raw_cf_rayid",
    "raw_method",
    "raw_status_code",
    "raw_uri",
    "resource_id",
    "resource_product",
    "resource_scope",
    "resource_type",
    "zone_id",
    "zone_name",
)
"""The SDK's filters of version 2 that have a `not`. The first word is the part of an entry, the rest its member."""

NEWEST = 10
"""How many of the newest entries give values to search for; `varied` writes fewer."""


def period() -> dict[str, dt.date]:
    """Return a period around today, as a user of the SDK gives it."""
    today = dt.datetime.now(tz=dt.UTC).date()
    return {"since": today - dt.timedelta(days=1), "before": today + dt.timedelta(days=1)}


async def test_the_log_is_iterated_by_cursor_with_filters(
    either: Any, client: Cloudflare, absent_script: str
) -> None:
    """Iteration over pages of two gives each entry once, in the SDK's own types, with every form of filter."""
    for number in range(5):
        upload(client, absent_script, tags=[f"t{number}"])
    client.workers.scripts.delete(absent_script, account_id=ACCOUNT)
    audit = either.accounts.logs.audit
    filters: Any = {**period(), "resource_id": [absent_script], "account_id": ACCOUNT}

    entries = await gathered(audit.list(**filters, limit=2))
    uploads = await gathered(audit.list(**filters, limit=2, direction="asc", action_type={"not": ["delete"]}))
    by_id = await gathered(audit.list(**filters, id=[entries[0].id], raw_status_code={"not": [404]}))
    excluded = await gathered(audit.list(**filters, resource_type={"not": ["script"]}))

    assert ["delete", *["update"] * 5] == [entry.action.type for entry in entries]
    assert [entry.id for entry in entries[:0:-1]] == [entry.id for entry in uploads]
    assert [entries[0].id] == [entry.id for entry in by_id]
    assert [] == excluded
    newest = entries[0]
    assert ("api_token", "owner", "user") == (newest.actor.context, newest.actor.token_name, newest.actor.type)
    assert (ACCOUNT, "DELETE", "workers") == (newest.account.id, newest.raw.method, newest.resource.product)
    assert newest.raw.user_agent.endswith(f"Cloudflare/Python {newest.raw.user_agent.split()[-1]}")
    assert dt.timedelta(minutes=10) > dt.datetime.now(tz=dt.UTC) - newest.action.time


@pytest.fixture(scope="module")
def varied(server: Server) -> None:
    """Write entries with several values of each member, among them a refused request."""
    with Cloudflare(api_token=server.safe.api_token, base_url=server.base_url) as client:
        upload(client, "filtered")
        made: Any = client.user.tokens.create(name="filtered", policies=[_policy(SCRIPTS_READ)])
        with (
            Cloudflare(api_token=made.value, base_url=server.base_url) as weak,
            pytest.raises(PermissionDeniedError),
        ):
            weak.workers.scripts.delete("filtered", account_id=ACCOUNT)
        client.workers.scripts.delete("filtered", account_id=ACCOUNT)
        client.user.tokens.delete(made.id)


@pytest.mark.usefixtures("varied")
@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_selects_the_entries_with_its_value(client: Cloudflare, name: str) -> None:
    """A filter selects exactly the entries with the value, and its `not` exactly the others."""
    part, _, member = name.partition("_")
    audit: Any = client.accounts.logs.audit
    until_now = {"since": "2020-01-01", "before": dt.datetime.now(tz=dt.UTC).isoformat(), "account_id": ACCOUNT}
    every = list(audit.list(**until_now, limit=1000))
    values = {entry.id: getattr(getattr(entry, part, None), member, None) for entry in every}

    for value in {*list(values.values())[:NEWEST]} - {None} or {"absent"}:
        found = [entry.id for entry in audit.list(**until_now, limit=1000, **{name: [value]})]
        others = [entry.id for entry in audit.list(**until_now, limit=1000, **{name: {"not": [value]}})]
        assert [key for key, one in values.items() if one == value] == found
        assert [key for key, one in values.items() if one != value] == others


async def test_version_1_is_iterated_by_page(either: Any, client: Cloudflare, absent_script: str) -> None:
    """Iteration over numbered pages gives each entry once, and the filters select entries."""
    upload(client, absent_script)
    upload(client, absent_script, tags=["t"])
    client.workers.scripts.delete(absent_script, account_id=ACCOUNT)
    given: Any = {"account_id": ACCOUNT, "direction": "asc", "actor": {"ip": "127.0.0.0/8"}}

    entries = await gathered(either.audit_logs.list(**given, per_page=3))
    mine = [entry for entry in entries if entry.resource and entry.resource.id == absent_script]
    found = await gathered(either.audit_logs.list(**given, id=mine[0].id))
    deleted = await gathered(either.audit_logs.list(**given, action={"type": "scripts.delete"}, hide_user_logs=True))

    assert ["scripts.upload", "scripts.upload", "scripts.delete"] == [entry.action.type for entry in mine]
    assert len(entries) == len({entry.id for entry in entries})
    assert [mine[0]] == found
    assert mine[2] in deleted
    assert (True, "user", "API") == (mine[0].action.result, mine[0].actor.type, mine[0].interface)


async def test_a_user_reads_their_own_log(either: Any, client: Cloudflare) -> None:
    """The log of the user has the user's tokens, page by page."""
    made: Any = client.user.tokens.create(name="logged", policies=[_policy(SCRIPTS_READ)])
    client.user.tokens.delete(made.id)
    entries = await gathered(either.user.audit_logs.list(per_page=5))

    assert ["tokens.delete", "tokens.create"] == [
        entry.action.type for entry in entries if entry.resource and entry.resource.id == made.id
    ]


async def test_refusals_are_the_sdks_errors(either: Any, client: Cloudflare, server: Server) -> None:
    """A query without a valid period, and a token without the permission, raise the SDK's errors."""
    with pytest.raises(BadRequestError, match="'since' must not be later"):
        await settled(either.accounts.logs.audit.list(account_id=ACCOUNT, since="2024-01-02", before="2024-01-01"))
    made: Any = client.user.tokens.create(name="scripts only", policies=[_policy(SCRIPTS_READ)])
    with (
        Cloudflare(api_token=made.value, base_url=server.base_url) as weak,
        pytest.raises(PermissionDeniedError, match="Authentication error"),
    ):
        weak.audit_logs.list(account_id=ACCOUNT)
    client.user.tokens.delete(made.id)


def _policy(group: str) -> Any:
    """Return a policy that allows a permission group on the account."""
    resources = {f"com.cloudflare.api.account.{ACCOUNT}": "*"}
    return {"effect": "allow", "permission_groups": [{"id": group}], "resources": resources}
