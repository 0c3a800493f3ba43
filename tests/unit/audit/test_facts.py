"""The facts of entries under the names of Cloudflare's API."""

from typing import Any

import msgspec
import pytest
from tests.unit.audit.test_actions import event

from nightsafe.audit.entry import REFUSED, AuditEvent
from nightsafe.audit.facts import Facts, facts_of, script_of

ACCOUNT = "a" * 32
USER = "b" * 32
UUID = "0190d6b8-5f3a-4c3e-8f3a-0190d6b85f3a"


def test_a_change_by_a_token_has_every_known_fact() -> None:
    """The entry of a change by a user's token names the actor, the request and the resource; no fact is made up."""
    known = event(
        "secrets.put",
        email="a@example.com",
        user_id=USER,
        token_name="ci",
        address="192.0.2.7",
        method="PUT",
        uri="workers/scripts/worker/secrets",
        user_agent="curl/8",
        script="worker",
        set=("KEY",),
    )

    assert facts_of(known) == Facts(
        action_type="update",
        action_result="success",
        description="Put secret: set KEY",
        actor_context="api_token",
        actor_id=USER,
        actor_email="a@example.com",
        actor_ip_address="192.0.2.7",
        actor_token_id="t",
        actor_token_name="ci",
        actor_type="user",
        raw_method="PUT",
        raw_uri=f"/accounts/{ACCOUNT}/workers/scripts/worker/secrets",
        raw_status_code=0,
        raw_user_agent="curl/8",
        resource_id="worker",
        resource_product="workers",
        resource_type="secret",
        resource_scope="accounts",
    )


def test_an_old_entry_lacks_the_facts_that_were_not_recorded() -> None:
    """An entry from before requests were recorded has no user ID, token name, method, path, client or status."""
    facts = facts_of(event("secrets.put", email="a@example.com"))
    empty = {name for name, value in msgspec.structs.asdict(facts).items() if not value}

    assert {
        "actor_id", "actor_ip_address", "actor_token_name", "raw_method", "raw_uri", "raw_status_code",
        "raw_user_agent", "resource_id",
    } == empty  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("token", ("api_token", USER, "a@example.com", "t", "user")),
        ("account_token", ("api_token", ACCOUNT, "", "t", "account")),
        ("key", ("api_key", "t", "a@example.com", "", "user")),
        ("service_key", ("origin_ca_key", "t", "a@example.com", "", "user")),
        ("operator", ("", "", "a@example.com", "", "cloudflare_admin")),
    ],
)
def test_each_kind_of_credential_is_an_actor(kind: str, expected: tuple[str, ...]) -> None:
    """A credential gives the context, and a user, an account or the operator is the actor."""
    facts = facts_of(event("secrets.put", actor_kind=kind, email="a@example.com", user_id=USER))

    assert expected == (
        facts.actor_context, facts.actor_id, facts.actor_email, facts.actor_token_id, facts.actor_type,
    )  # fmt: skip


HEX = UUID.replace("-", "")


@pytest.mark.parametrize(
    ("made", "resource_id"),
    [
        (event("scripts.upload", script="w", version_id=HEX), "w"),
        (event("scripts.upload", script="w", namespace="n"), "n/w"),
        (event("versions.upload", script="w", version_id=HEX), UUID),
        (event("deployments.create", script="w", resource=HEX, version_id=f"{HEX},{HEX}"), UUID),
        (event("secrets.read", outcome="viewed", method="GET", script="w", resource="KEY"), "w/KEY"),
        (event("namespaces.create", resource="n"), "n"),
        (event("scripts.read", outcome="viewed", method="GET", namespace="n"), "n"),
        (event("tokens.roll", resource="f" * 32), "f" * 32),
    ],
)
def test_the_resource_has_the_id_of_the_api(made: AuditEvent, resource_id: str) -> None:
    """Versions and deployments have their UUIDs; other resources have the ID or name in their paths."""
    assert resource_id == facts_of(made).resource_id


def test_a_path_outside_an_account_is_kept_whole() -> None:
    """A path that belongs to no account is the fact itself."""
    assert "/user/tokens" == facts_of(event("tokens.create", account_id="", uri="/user/tokens")).raw_uri
    assert "n/w" == script_of(event("x", script="w", namespace="n"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dropped": ("A", "B")}, "Patch secrets: removed A, B"),
        ({"set": ("A",), "dropped": ("B",)}, "Patch secrets: set A; removed B"),
        ({"set": tuple("ABCDEFGHIJKL")}, "Patch secrets: set A, B, C, D, E, F, G, H, I, J and 2 more"),
    ],
)
def test_the_description_names_what_was_set_and_removed(fields: Any, words: str) -> None:
    """The description has the names of an entry, the first ten of each kind."""
    assert words == facts_of(event("secrets.patch", **fields)).description


def test_a_refusal_is_a_failure_with_its_reason_and_count() -> None:
    """A refusal fails, and the description says why, and how often."""
    refusal = event("secrets.write", outcome=REFUSED, method="PUT", reason="not_permitted", status=403)
    counted = msgspec.structs.replace(refusal, repeated=7)

    assert ("failure", 403) == (facts_of(refusal).action_result, facts_of(refusal).raw_status_code)
    assert "Update secret: refused with not_permitted" == facts_of(refusal).description
    assert "Update secret: refused with not_permitted, 7 times more" == facts_of(counted).description
