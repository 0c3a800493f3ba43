"""Evaluates policies: whether an action is allowed, and by which policy.

A set of rules is an integer in which bit n stands for rule n. So a decision costs a few integer operations and one
lookup of globs, however many rules there are.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from nightsafe.identity.globs import LONGEST_NAME, Globs, is_name
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
    """A policy's effect on one resource: a user, an account, or the scripts in an account that a glob matches.

    With `scripts` "" the rule covers the whole account.
    """

    policy_id: str
    allows: bool
    actions: frozenset[Action]
    account_id: str = ""
    user_id: str = ""
    scripts: str = ""


class Grants:
    """The permissions that policies give. Decisions are cached: a credential that changes gets a new `Grants`.

    If a script's name is not a valid name, no glob allows an action on it, and every glob that denies applies to it.

    Args:
        policies: all policies, in any order.

    Attributes:
        rules: the rules of all policies.
        allowing: the rules that allow.
        denying: the rules that deny.
        acting: the rules about each action, by action.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.allowing = self.denying = self._whole = 0
        self.acting = dict.fromkeys(Action, 0)
        self._accounts: dict[str, int] = {}
        self._users: dict[str, int] = {}
        rules: list[Rule] = []
        for policy in policies:
            before = len(rules)
            rules += _rules(policy)
            self._file(rules, before)
        self.rules = tuple(rules)
        self._everywhere = self._accounts.get(EVERY, 0)
        self._globs = Globs(rule.scripts for rule in self.rules)
        self._by_script = any(rule.scripts for rule in self.rules)
        self._remembered: dict[tuple[Action, str, str, str], str | None] = {}
        self._seen: dict[str, bool] = {}

    def allowed_by(self, action: Action, resource: Resource) -> str | None:
        """Return the ID of the first policy that allows the action.

        Return None if no policy allows it or some policy denies it.
        """
        key = (action, resource.account_id, resource.user_id, resource.script if self._by_script else "")
        try:
            return self._remembered[key]
        except KeyError:
            answer = self._decide(action, resource)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        if len(key[-1]) <= LONGEST_NAME:
            self._remembered[key] = answer
        return answer

    def allow(self, action: Action, resource: Resource) -> bool:
        """Return whether some policy allows the action and none denies it."""
        return self.allowed_by(action, resource) is not None

    def allow_all(self, action: Action, account_id: str, scripts: str = "") -> bool:
        """Return whether an action is known to be allowed on an account, or on all scripts that a glob matches."""
        wanted, acting = (
            Rule("", allows=True, actions=frozenset(), account_id=account_id, scripts=scripts),
            self.acting[action],
        )
        if not acting & self.allowing & self.containing(wanted):
            return False
        return not (denying := acting & self.denying) or not denying & self.touching(wanted)

    def sees(self, account_id: str) -> bool:
        """Return whether any action is allowed in an account, if only on some of its scripts."""
        key = account_id if account_id in self._accounts else EVERY
        if key not in self._seen:
            here = self._in(key)
            self._seen[key] = any(
                acting & here & self.allowing and not acting & here & self.denying & self._whole
                for acting in self.acting.values()
            )
        return self._seen[key]

    def accounts(self) -> set[str]:
        """Return the IDs of the accounts that it `sees`.

        EVERY is among them if the policies allow an action in all accounts.
        """
        return {account_id for account_id in self._accounts if self.allowing and self.sees(account_id)}

    def containing(self, wanted: Rule) -> int:
        """Return the rules that are known to cover everything that a rule covers."""
        if wanted.user_id:
            return self._users.get(wanted.user_id, 0)
        scripts = self._globs.containing(wanted.scripts) if wanted.scripts else 0
        return self._in(wanted.account_id) & (self._whole | scripts)

    def touching(self, wanted: Rule) -> int:
        """Return the rules that may overlap a rule: all except those known not to."""
        if wanted.user_id:
            return self._users.get(wanted.user_id, 0)
        here = ~0 if wanted.account_id == EVERY else self._in(wanted.account_id)
        return here & (self._whole | self._globs.touching(wanted.scripts) if wanted.scripts else ~0)

    def _file(self, rules: list[Rule], before: int) -> None:
        """Index the rules of one policy, which begin at index `before`."""
        for place, rule in enumerate(rules[before:], before):
            table, key = (self._users, rule.user_id) if rule.user_id else (self._accounts, rule.account_id)
            table[key] = table.get(key, 0) | 1 << place
            if not rule.scripts:
                self._whole |= 1 << place
        every = (1 << len(rules)) - (1 << before)
        if not every:
            return
        if rules[before].allows:
            self.allowing |= every
        else:
            self.denying |= every
        for action in rules[before].actions:
            self.acting[action] |= every

    def _in(self, account_id: str) -> int:
        """Return the rules about an account, about some of its scripts, or about every account."""
        return self._accounts.get(account_id, 0) | self._everywhere

    def _decide(self, action: Action, resource: Resource) -> str | None:
        """Evaluate the rules without the cache."""
        about = self.acting[action] & self._about(resource)
        if not about or about & self.denying:
            return None
        return self.rules[(about & -about).bit_length() - 1].policy_id

    def _about(self, resource: Resource) -> int:
        """Return the rules about a resource."""
        if resource.user_id:
            return self._users.get(resource.user_id, 0)
        if not resource.script or not self._by_script:
            return self._in(resource.account_id) & self._whole
        scripts = self._globs.matching(resource.script) if is_name(resource.script) else self.denying
        return self._in(resource.account_id) & (self._whole | scripts)


def _rules(policy: Policy) -> Iterator[Rule]:
    """Yield a policy's rules, one for each resource and glob. Unknown groups and resources give no rule."""
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
    """Return the globs in a scope; an empty glob stands for the whole account."""
    if isinstance(scope, dict):
        named = [name.removeprefix(SCRIPT_RESOURCE) for name, value in scope.items() if value == "*"]
        return [glob for glob in named if glob]
    return [""] if scope == "*" else []
