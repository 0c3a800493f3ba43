"""Decides which scripts a caller can see."""

from nightsafe.api.http.request import Call
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.services.scripts.references import IsVisible


def visibility_of(call: Call, action: Action = Action.READ_SCRIPTS) -> IsVisible:
    """Return a test of whether the caller may do an action with a script; by default, read it."""
    grants = call.caller.principal.grants
    return lambda ref: grants.allow(action, policy.Resource(ref.account_id, ref.path))
