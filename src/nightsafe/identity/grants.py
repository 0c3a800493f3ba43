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
    ALL_ACCOUNTS,
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
        allow_rules: the rules that allow.
        deny_rules: the rules that deny.
        rules_by_action: the rules about each action.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.allow_rules = self.deny_rules = self._whole_account_rules = 0
        self.rules_by_action = dict.fromkeys(Action, 0)
        self._accounts: dict[str, int] = {}
        self._users: dict[str, int] = {}
        rules: list[Rule] = []
        for policy in policies:
            before = len(rules)
            rules += _rules(policy)
            self._index_rules(rules, before)
        self.rules = tuple(rules)
        self._all_accounts_rules = self._accounts.get(ALL_ACCOUNTS, 0)
        self._globs = Globs(rule.scripts for rule in self.rules)
        self._by_script = any(rule.scripts for rule in self.rules)
        self._cached: dict[tuple[Action, str, str, str], str | None] = {}
        self._access_by_account: dict[str, bool] = {}

    def allowed_by(self, action: Action, resource: Resource) -> str | None:
        """Return the ID of the first policy that allows the action.

        Return None if no policy allows it or some policy denies it.
        """
        key = (action, resource.account_id, resource.user_id, resource.script if self._by_script else "")
        try:
            return self._cached[key]
        except KeyError:
            answer = self._decide(action, resource)
        if len(self._cached) >= _MAX_REMEMBERED:
            self._cached.clear()
        if len(key[-1]) <= LONGEST_NAME:
            self._cached[key] = answer
        return answer

    def allow(self, action: Action, resource: Resource) -> bool:
        """Return whether some policy allows the action and none denies it."""
        return self.allowed_by(action, resource) is not None

    def allow_all(self, action: Action, account_id: str, scripts: str = "") -> bool:
        """Return whether an action is known to be allowed on an account, or on all scripts that a glob matches."""
        rule, acting = (
            Rule("", allows=True, actions=frozenset(), account_id=account_id, scripts=scripts),
            self.rules_by_action[action],
        )
        if not acting & self.allow_rules & self.rules_covering(rule):
            return False
        return not (denying := acting & self.deny_rules) or not denying & self.rules_overlapping(rule)

    def has_access_to(self, account_id: str) -> bool:
        """Return whether any action is allowed in an account, if only on some of its scripts."""
        key = account_id if account_id in self._accounts else ALL_ACCOUNTS
        if key not in self._access_by_account:
            account_rules = self._rules_in(key)
            self._access_by_account[key] = any(
                acting & account_rules & self.allow_rules
                and not acting & account_rules & self.deny_rules & self._whole_account_rules
                for acting in self.rules_by_action.values()
            )
        return self._access_by_account[key]

    def accounts(self) -> set[str]:
        """Return the IDs of the accounts that it `has_access_to`.

        EVERY is among them if the policies allow an action in all accounts.
        """
        return {account_id for account_id in self._accounts if self.allow_rules and self.has_access_to(account_id)}

    def rules_covering(self, rule: Rule) -> int:
        """Return the rules that are known to cover everything that a rule covers."""
        if rule.user_id:
            return self._users.get(rule.user_id, 0)
        scripts = self._globs.find_supersets(rule.scripts) if rule.scripts else 0
        return self._rules_in(rule.account_id) & (self._whole_account_rules | scripts)

    def rules_overlapping(self, rule: Rule) -> int:
        """Return the rules that may overlap a rule: all except those known not to."""
        if rule.user_id:
            return self._users.get(rule.user_id, 0)
        account_rules = ~0 if rule.account_id == ALL_ACCOUNTS else self._rules_in(rule.account_id)
        return account_rules & (
            self._whole_account_rules | self._globs.find_overlapping(rule.scripts) if rule.scripts else ~0
        )

    def _index_rules(self, rules: list[Rule], before: int) -> None:
        """Index the rules of one policy, which begin at index `before`."""
        for index, rule in enumerate(rules[before:], before):
            table, key = (self._users, rule.user_id) if rule.user_id else (self._accounts, rule.account_id)
            table[key] = table.get(key, 0) | 1 << index
            if not rule.scripts:
                self._whole_account_rules |= 1 << index
        new_rules = (1 << len(rules)) - (1 << before)
        if not new_rules:
            return
        if rules[before].allows:
            self.allow_rules |= new_rules
        else:
            self.deny_rules |= new_rules
        for action in rules[before].actions:
            self.rules_by_action[action] |= new_rules

    def _rules_in(self, account_id: str) -> int:
        """Return the rules about an account, about some of its scripts, or about every account."""
        return self._accounts.get(account_id, 0) | self._all_accounts_rules

    def _decide(self, action: Action, resource: Resource) -> str | None:
        """Evaluate the rules without the cache."""
        about = self.rules_by_action[action] & self._rules_about(resource)
        if not about or about & self.deny_rules:
            return None
        return self.rules[(about & -about).bit_length() - 1].policy_id

    def _rules_about(self, resource: Resource) -> int:
        """Return the rules about a resource."""
        if resource.user_id:
            return self._users.get(resource.user_id, 0)
        if not resource.script or not self._by_script:
            return self._rules_in(resource.account_id) & self._whole_account_rules
        scripts = self._globs.find_matching(resource.script) if is_name(resource.script) else self.deny_rules
        return self._rules_in(resource.account_id) & (self._whole_account_rules | scripts)


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
