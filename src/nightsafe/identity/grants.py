"""What policies come to: the answer to whether, and by which policy, something is allowed."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from nightsafe.identity import globs
from nightsafe.identity.permissions import PERMISSION_GROUPS, Action
from nightsafe.identity.policy import (
    ACCOUNT_RESOURCE,
    EVERY,
    SCRIPT_RESOURCE,
    USER_RESOURCE,
    Policy,
    Resource,
    Scope,
)

_MAX_REMEMBERED = 1024


class Rule(Struct, frozen=True):
    """A policy's words on one resource: a user; an account; or, with `scripts`, those of it that a glob matches."""

    policy_id: str
    allows: bool
    actions: frozenset[Action]
    account_id: str = ""
    user_id: str = ""
    scripts: str = ""

    def is_about(self, resource: Resource) -> bool:
        """Whether it speaks of this resource."""
        if resource.user_id or self.user_id:
            return self.user_id == resource.user_id
        if self.account_id not in {resource.account_id, EVERY}:
            return False
        return not self.scripts or bool(resource.script and globs.matches(self.scripts, resource.script))


class Grants:
    """What policies allow. Answers are remembered: policies never change, a changed credential gets new ones.

    Args:
        policies: every statement, in any order.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.rules = tuple(rule for policy in policies for rule in _rules(policy))
        self._by_script = any(rule.scripts for rule in self.rules)
        self._remembered: dict[tuple[Action, str, str, str], str | None] = {}

    def allowed_by(self, action: Action, resource: Resource) -> str | None:
        """Id of the first policy that allows it, or None: when there is none, or when some policy denies it."""
        key = (action, resource.account_id, resource.user_id, resource.script if self._by_script else "")
        try:
            return self._remembered[key]
        except KeyError:
            answer = self._decide(action, resource)
        if len(self._remembered) < _MAX_REMEMBERED:
            self._remembered[key] = answer
        return answer

    def allow(self, action: Action, resource: Resource) -> bool:
        """Whether some policy allows it and none denies it."""
        return self.allowed_by(action, resource) is not None

    def sees(self, account_id: str) -> bool:
        """Whether anything at all is allowed in an account, be it with one of its scripts."""
        here = [rule for rule in self.rules if rule.account_id in {account_id, EVERY}]
        denied = {action for rule in here if not rule.allows and not rule.scripts for action in rule.actions}
        return any(rule.allows and rule.actions - denied for rule in here)

    def accounts(self) -> set[str]:
        """Ids of the accounts that it `sees`, EVERY among them when policies allow something in all of them."""
        named = {rule.account_id for rule in self.rules if rule.allows and rule.account_id}
        return {account_id for account_id in named if self.sees(account_id)}

    def _decide(self, action: Action, resource: Resource) -> str | None:
        """Ask every rule."""
        about = [rule for rule in self.rules if action in rule.actions and rule.is_about(resource)]
        if any(not rule.allows for rule in about):
            return None
        return next((rule.policy_id for rule in about), None)


def _rules(policy: Policy) -> Iterator[Rule]:
    """A policy's statements, one for each resource; a group or resource that is not known says nothing."""
    groups = (PERMISSION_GROUPS.get(group.id) for group in policy.permission_groups)
    actions = frozenset(action for group in groups if group for action in group.actions)
    allows = policy.effect == "allow"
    for name, scope in policy.resources.items():
        if name.startswith(USER_RESOURCE) and scope == "*":
            yield Rule(policy.id, allows, actions, user_id=name.removeprefix(USER_RESOURCE))
        elif name.startswith(ACCOUNT_RESOURCE):
            account_id = name.removeprefix(ACCOUNT_RESOURCE)
            for glob in _globs(scope):
                yield Rule(policy.id, allows, actions, account_id, scripts=glob)


def _globs(scope: Scope) -> list[str]:
    """The scripts that a scope names; an empty glob is the whole account."""
    if isinstance(scope, dict):
        named = [name.removeprefix(SCRIPT_RESOURCE) for name, value in scope.items() if value == "*"]
        return [glob for glob in named if glob]
    return [""] if scope == "*" else []
