"""The classification of actions agrees with the code that makes entries."""

import re
from pathlib import Path

import pytest

import nightsafe
from nightsafe.audit.actions import ACTIONS, Kind, kind_of, scope_of
from nightsafe.audit.entry import REFUSED, VIEWED, AuditEvent
from nightsafe.identity.permissions import Action

SERVICES = Path(nightsafe.__file__).parent / "services"


def event(action: str, **fields: object) -> AuditEvent:
    """Return an event of an account, by a token."""
    known = {"at": 1, "actor": "t", "actor_kind": "token", "account_id": "a" * 32}
    return AuditEvent(action=action, **(known | fields))  # type: ignore[arg-type]


def test_every_action_of_a_change_is_classified() -> None:
    """Each action that the services put into the log is in the table, and no other."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in SERVICES.rglob("*.py"))
    changes = (
        r"(?:_change|_write|_commit\w*|_merge)\(\s*[^()\"]*\"([a-z_]+(?:\.[a-z]+)+)\"|action=\"([a-z]+\.[a-z]+)\""
    )
    made = {one or other for one, other in re.findall(changes, code)}

    assert made == ACTIONS.keys()


def test_a_request_that_changed_nothing_is_classified_by_its_permission_and_method() -> None:
    """Each permission has a product and a resource; a read is a view, and a refusal has the type of its method."""
    of_delivery = {Action.DELIVER, Action.RESEAL}
    for action in Action:
        kind = kind_of(event(action, outcome=VIEWED, method="GET"))
        assert "view" == kind.type
        assert kind.product, action
        assert kind.resource or action in of_delivery, action

    refused = [
        kind_of(event("secrets.write", outcome=REFUSED, method=method)).type
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"]
    ]
    assert ["view", "create", "update", "update", "delete"] == refused


def test_an_unknown_action_is_an_update_of_an_unknown_resource() -> None:
    """An entry of a newer program is shown, without a product or resource."""
    assert Kind("update", "", "", "Update resource") == kind_of(event("later.thing"))


@pytest.mark.parametrize(
    ("action", "account_id", "scope"),
    [
        ("secrets.put", "a" * 32, "accounts"),
        ("tokens.create", "a" * 32, "accounts"),
        ("tokens.create", "", "user"),
        ("users.create", "", "user"),
        ("memberships.create", "a" * 32, "memberships"),
        ("keys.ring", "", ""),
    ],
)
def test_the_scope_is_that_of_the_resource(action: str, account_id: str, scope: str) -> None:
    """A resource belongs to an account, to a user, or to the whole safe."""
    made = event(action, account_id=account_id)

    assert scope == scope_of(made, kind_of(made))
