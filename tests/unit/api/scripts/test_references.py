"""What points at a script: so that wrangler warns before it deletes one that others need."""

import pytest
from tests.unit.api.tools.driver import ACCOUNT, Api, script_at
from tests.unit.api.tools.tokens import keep, policies_on, row

from nightsafe.identity.credentials import new_token

SERVICE = {"type": "service", "name": "TARGET", "service": "target"}
OBJECT = {"type": "durable_object_namespace", "name": "DO", "class_name": "Room", "script_name": "target"}
OUTBOUND = {
    "type": "dispatch_namespace",
    "name": "NS",
    "namespace": "customers",
    "outbound": {"worker": {"service": "target", "environment": "production"}},
}
TAILS = f"/client/v4/accounts/{ACCOUNT}/workers/tails/by-consumer"


@pytest.fixture(scope="module")
def linked(api: Api) -> Api:
    """An API with a script `target`, and others that point at it and elsewhere."""
    own = [{"type": "durable_object_namespace", "name": "OWN", "class_name": "Room", "script_name": "target"}]
    elsewhere = {"type": "service", "name": "OTHER", "service": "worker"}
    for script, bindings in {
        "target": [*own, elsewhere],
        "a-service": [SERVICE, elsewhere],
        "an-object": [OBJECT, OBJECT | {"name": "LOCAL", "script_name": None}],
        "an-outbound": [OUTBOUND, OUTBOUND | {"name": "PLAIN", "outbound": None}],
        "bystander": [{"type": "plain_text", "name": "TARGET", "text": "target"}],
    }.items():
        metadata = {"main_module": "worker.js", "bindings": bindings}
        tails = {"tail_consumers": [{"service": "target"}]} if script == "bystander" else {}
        assert api.upload(script, metadata | tails).status == 200
    return api


def test_references_are_told_by_kind(linked: Api) -> None:
    """Bindings of other scripts; its own lead outward."""
    found = linked.send("GET", f"{script_at('target')}/references").result

    services = found["services"]
    assert [("a-service", "TARGET")] == [(one["service"], one["name"]) for one in services["incoming"]]
    assert [("worker", "OTHER")] == [(one["service"], one["name"]) for one in services["outgoing"]]
    assert False is services["pages_function"]
    objects = [(one["service"], one["durable_object_namespace_name"]) for one in found["durable_objects"]]
    assert [("an-object", "Room")] == objects
    assert [("an-outbound", "customers")] == [
        (one["service"], one["namespace"]) for one in found["dispatch_outbounds"]
    ]


def test_producers_of_a_tail(linked: Api) -> None:
    """Scripts that name this one among their tail consumers."""
    assert ["bystander"] == [one["producer"]["script"] for one in linked.send("GET", f"{TAILS}/target").result]
    assert [] == linked.send("GET", f"{TAILS}/bystander").result


def test_nothing_points_at_a_script_alone(linked: Api) -> None:
    """Empty lists; and 404 / 10007 for a script that is not there."""
    found = linked.send("GET", f"{script_at('bystander')}/references").result

    empty = {"incoming": [], "outgoing": [], "pages_function": False}
    assert {"services": empty, "durable_objects": [], "dispatch_outbounds": []} == found
    assert (404, [10007]) == linked.send("GET", f"{script_at('nowhere')}/references").refusal


def test_a_caller_learns_of_no_script_that_is_kept_from_them(linked: Api) -> None:
    """A token for some scripts sees references from those alone."""
    secret = new_token()
    keep(linked, row(secret, policies_on("target", "an-*")))
    bearer = [(b"authorization", b"Bearer " + secret.encode())]

    found = linked.send("GET", f"{script_at('target')}/references", b"", bearer, anonymous=True).result

    assert [] == found["services"]["incoming"]
    assert ["an-object"] == [one["service"] for one in found["durable_objects"]]
    assert [] == linked.send("GET", f"{TAILS}/target", b"", bearer, anonymous=True).result
