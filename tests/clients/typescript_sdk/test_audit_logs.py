"""`client.accounts.logs.audit`, `client.auditLogs` and `client.user.auditLogs` of the official TypeScript SDK."""

import datetime as dt

import pytest
from tests.clients.node.tools import TypeScript
from tests.clients.typescript_sdk.calls import NO_TYPE, form, here

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
    "raw_cf_ray_id",
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
"""The filters that have a `not`. The first word is the part of an entry, the rest its member."""

EVER = {"since": "2020-01-01", "before": "9999-01-01"}


def test_the_log_is_iterated_in_both_versions(typescript: TypeScript, absent_script: str) -> None:
    """Iteration over pages of two gives each entry once, with filters and their `not`, by cursor and by page."""
    for _ in range(5):
        typescript.call("workers.scripts.update", absent_script, form(), NO_TYPE)
    typescript.call("workers.scripts.delete", absent_script, here())
    of_script = here(**EVER, resource_id=[absent_script], limit=2)

    entries = typescript.call("accounts.logs.audit.list", of_script)
    uploads = typescript.call("accounts.logs.audit.list", of_script | {"action_type": {"not": ["delete", "view"]}})
    pages = typescript.call("auditLogs.list", here(direction="asc", per_page=2, action={"type": "scripts.delete"}))

    assert ["delete", *["update"] * 5] == [entry["action"]["type"] for entry in entries]
    assert entries[1:] == uploads
    assert "api_key" == entries[0]["actor"]["context"]
    assert entries[0]["id"] in {entry["id"] for entry in pages}
    assert len(pages) == len({entry["id"] for entry in pages})


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_selects_the_entries_with_its_value(
    typescript: TypeScript, absent_script: str, name: str
) -> None:
    """A filter selects exactly the entries with the value of the newest entry, and its `not` exactly the others."""
    typescript.call("workers.scripts.update", absent_script, form(), NO_TYPE)
    part, _, member = name.partition("_")
    until_now = here(since="2020-01-01", before=dt.datetime.now(tz=dt.UTC).isoformat(), limit=1000)
    entries = typescript.call("accounts.logs.audit.list", until_now)
    values = {entry["id"]: entry.get(part, {}).get(member) for entry in entries}
    value = values[entries[0]["id"]]
    searched = 999 if value is None else value

    found = typescript.call("accounts.logs.audit.list", until_now | {name: [searched]})
    others = typescript.call("accounts.logs.audit.list", until_now | {name: {"not": [searched]}})

    assert [key for key, one in values.items() if one == searched] == [entry["id"] for entry in found]
    assert [key for key, one in values.items() if one != searched] == [entry["id"] for entry in others]


def test_a_user_reads_their_own_log(typescript: TypeScript) -> None:
    """The log of the user is iterated page by page, and has the user's tokens."""
    policy = {
        "effect": "allow",
        "permission_groups": [{"id": "1a71c399035b4950a1bd1466bbe4f420"}],
        "resources": {f"com.cloudflare.api.account.{here()['account_id']}": "*"},
    }
    made = typescript.call("user.tokens.create", {"name": "logged", "policies": [policy]})
    typescript.call("user.tokens.delete", made["id"])
    entries = typescript.call("user.auditLogs.list", {"per_page": 5})

    assert ["tokens.delete", "tokens.create"] == [
        entry["action"]["type"] for entry in entries if entry.get("resource", {}).get("id") == made["id"]
    ]
