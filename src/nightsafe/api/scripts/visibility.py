"""Decides which scripts a caller may know of."""

from nightsafe.api.http.request import Call
from nightsafe.identity import policy
from nightsafe.identity.permissions import Action
from nightsafe.services.scripts.references import Sees


def sees(call: Call, action: Action = Action.READ_SCRIPTS) -> Sees:
    """Tell whether the caller may do something with a script; by default, read it."""
    grants = call.caller.principal.grants
    return lambda ref: grants.allow(action, policy.Resource(ref.account_id, ref.path))
