"""What policies come to: the answer to whether, and by which policy, something is allowed.

A set of rules is a number here, bit n of it standing for rule n. So a question costs a few operations on numbers and
one look at the globs, however many rules there are.
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
    """A policy's words on one resource: a user; an account; or, with `scripts`, those of it that a glob matches."""

    policy_id: str
    allows: bool
    actions: frozenset[Action]
    account_id: str = ""
    user_id: str = ""
    scripts: str = ""


class Grants:
    """What policies allow. Answers are remembered: policies never change, a changed credential gets new ones.

    Of a script whose name no script can have, no glob allows anything, and each one that denies does.

    Args:
        policies: every statement, in any order.

    Attributes:
        rules: all that they say.
        allowing: the rules that allow.
        denying: the rules that deny.
        acting: by action, the rules that speak of it.
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
        """Id of the first policy that allows it, or None: when there is none, or when some policy denies it."""
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
        """Whether some policy allows it and none denies it."""
        return self.allowed_by(action, resource) is not None

    def allow_all(self, action: Action, account_id: str, scripts: str = "") -> bool:
        """Whether it is known that an action is allowed on all that a glob matches, by default on a whole account."""
        wanted, acting = (
            Rule("", allows=True, actions=frozenset(), account_id=account_id, scripts=scripts),
            self.acting[action],
        )
        if not acting & self.allowing & self.containing(wanted):
            return False
        return not (denying := acting & self.denying) or not denying & self.touching(wanted)

    def sees(self, account_id: str) -> bool:
        """Whether anything at all is allowed in an account, be it with one of its scripts."""
        key = account_id if account_id in self._accounts else EVERY
        if key not in self._seen:
            here = self._in(key)
            self._seen[key] = any(
                acting & here & self.allowing and not acting & here & self.denying & self._whole
                for acting in self.acting.values()
            )
        return self._seen[key]

    def accounts(self) -> set[str]:
        """Ids of the accounts that it `sees`, EVERY among them when policies allow something in all of them."""
        return {account_id for account_id in self._accounts if self.allowing and self.sees(account_id)}

    def containing(self, wanted: Rule) -> int:
        """The rules on all that a rule is on, as far as is known."""
        if wanted.user_id:
            return self._users.get(wanted.user_id, 0)
        scripts = self._globs.containing(wanted.scripts) if wanted.scripts else 0
        return self._in(wanted.account_id) & (self._whole | scripts)

    def touching(self, wanted: Rule) -> int:
        """The rules on something that a rule is on, as far as the opposite is not known."""
        if wanted.user_id:
            return self._users.get(wanted.user_id, 0)
        here = ~0 if wanted.account_id == EVERY else self._in(wanted.account_id)
        return here & (self._whole | self._globs.touching(wanted.scripts) if wanted.scripts else ~0)

    def _file(self, rules: list[Rule], before: int) -> None:
        """Note what the rules of a policy, which come after some others, are about."""
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
        """The rules on an account, on some of its scripts, or on every account."""
        return self._accounts.get(account_id, 0) | self._everywhere

    def _decide(self, action: Action, resource: Resource) -> str | None:
        """Ask every rule."""
        about = self.acting[action] & self._about(resource)
        if not about or about & self.denying:
            return None
        return self.rules[(about & -about).bit_length() - 1].policy_id

    def _about(self, resource: Resource) -> int:
        """The rules on a resource."""
        if resource.user_id:
            return self._users.get(resource.user_id, 0)
        if not resource.script or not self._by_script:
            return self._in(resource.account_id) & self._whole
        scripts = self._globs.matching(resource.script) if is_name(resource.script) else self.denying
        return self._in(resource.account_id) & (self._whole | scripts)


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
