"""References to a script; wrangler reads them to warn before it deletes a script that others need."""

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
    """Return an API with a script `target` and other scripts; some refer to it."""
    to_itself = [{"type": "durable_object_namespace", "name": "OWN", "class_name": "Room", "script_name": "target"}]
    elsewhere = {"type": "service", "name": "OTHER", "service": "worker"}
    for script, bindings in {
        "target": [*to_itself, elsewhere],
        "a-service": [SERVICE, elsewhere],
        "an-object": [OBJECT, OBJECT | {"name": "LOCAL", "script_name": None}],
        "an-outbound": [OUTBOUND, OUTBOUND | {"name": "PLAIN", "outbound": None}],
        "bystander": [{"type": "plain_text", "name": "TARGET", "text": "target"}],
    }.items():
        metadata = {"main_module": "worker.js", "bindings": bindings}
        tails = {"tail_consumers": [{"service": "target"}]} if script == "bystander" else {}
        assert api.upload(script, metadata | tails).status == 200
    return api


def test_references_are_listed_by_kind(linked: Api) -> None:
    """Bindings of other scripts are incoming references; the script's own bindings are outgoing."""
    found = linked.send("GET", f"{script_at('target')}/references").result

    services = found["services"]
    assert [("a-service", "TARGET")] == [(binding["service"], binding["name"]) for binding in services["incoming"]]
    assert [("worker", "OTHER")] == [(binding["service"], binding["name"]) for binding in services["outgoing"]]
    assert False is services["pages_function"]
    objects = [(entry["service"], entry["durable_object_namespace_name"]) for entry in found["durable_objects"]]
    assert [("an-object", "Room")] == objects
    assert [("an-outbound", "customers")] == [
        (outbound["service"], outbound["namespace"]) for outbound in found["dispatch_outbounds"]
    ]


def test_the_producers_of_a_tail_are_listed(linked: Api) -> None:
    """The producers of a tail are the scripts that name this one as a tail consumer."""
    assert ["bystander"] == [tail["producer"]["script"] for tail in linked.send("GET", f"{TAILS}/target").result]
    assert [] == linked.send("GET", f"{TAILS}/bystander").result


def test_a_script_without_references_gets_empty_lists(linked: Api) -> None:
    """A script without references gets empty lists, and a missing script 404 / 10007."""
    found = linked.send("GET", f"{script_at('bystander')}/references").result

    empty = {"incoming": [], "outgoing": [], "pages_function": False}
    assert {"services": empty, "durable_objects": [], "dispatch_outbounds": []} == found
    assert (404, [10007]) == linked.send("GET", f"{script_at('nowhere')}/references").refusal


def test_references_leave_out_scripts_denied_to_the_caller(linked: Api) -> None:
    """A token for some scripts lists references from these scripts only."""
    secret = new_token()
    keep(linked, row(secret, policies_on("target", "an-*")))
    bearer = [(b"authorization", b"Bearer " + secret.encode())]

    found = linked.send("GET", f"{script_at('target')}/references", b"", bearer, anonymous=True).result

    assert [] == found["services"]["incoming"]
    assert ["an-object"] == [reference["service"] for reference in found["durable_objects"]]
    assert [] == linked.send("GET", f"{TAILS}/target", b"", bearer, anonymous=True).result
