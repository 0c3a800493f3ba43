"""What a stored token comes to: parsed and compiled once, and kept until the token is another one."""

from typing import Final

from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.conditions import Networks, networks_of
from nightsafe.identity.grants import Grants
from nightsafe.identity.policy import MAX_ENCODED, Policy, confine, excess_of, parse_policies
from nightsafe.store.identities import Token

_MAX_WEIGHT: Final = 8 * 1024 * 1024
_LEAST_WEIGHT: Final = 1024


_Source = tuple[bytes, bytes, str]
"""All of a token that counts here: its policies, its condition, and the account that owns it."""


class Compiled(Struct, frozen=True):
    """What a token may do, and from where; `excess` says in words why it may do nothing, "" when it may."""

    grants: Grants
    networks: Networks | None
    excess: str = ""


class CompiledTokens:
    """Tokens that were asked for. It forgets all of them when they weigh too much together."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Source, Compiled]] = {}
        self._weight = 0

    def of(self, token: Token) -> Compiled:
        """What a token comes to."""
        source = token.policies, token.condition, token.account_id
        known = self._known.get(token.id)
        if known is not None and known[0] == source:
            return known[1]
        compiled = compiled_token(token)
        self._weight += weight_of(token)
        if self._weight > _MAX_WEIGHT:
            self._known.clear()
            self._weight = weight_of(token)
        self._known[token.id] = source, compiled
        return compiled


def compiled_token(token: Token) -> Compiled:
    """What a token comes to: one of an account speaks of that account only, one that has too much of nothing."""
    policies, excess = _policies_of(token)
    return Compiled(Grants(policies), networks_of(token.condition), excess)


def weight_of(token: Token) -> int:
    """About how many bytes of memory a token takes, in parts of what is stored of it."""
    return _LEAST_WEIGHT + len(token.policies) + len(token.condition)


def _policies_of(token: Token) -> tuple[tuple[Policy, ...], str]:
    """The policies that count, and what of those that are stored is too much, in words."""
    if len(token.policies) > MAX_ENCODED:
        return (), f"its policies have {len(token.policies)} bytes; {MAX_ENCODED} are allowed"
    policies = parse_policies(token.policies)
    excess = excess_of(policies)
    if excess:
        return (), excess
    if token.account_id:
        policies = tuple(confine(policy, token.account_id) for policy in policies)
    return policies, ""


def refuse_excess(token: Token, compiled: Compiled) -> None:
    """Refuse a token that was made when more was allowed, and that a request could wait for.

    Raises:
        NightsafeError: UNKNOWN_TOKEN; the detail, for the log, says what is too much.
    """
    if compiled.excess:
        raise NightsafeError(
            Code.UNKNOWN_TOKEN, f"token {token.id} is refused, give it less or make several: {compiled.excess}"
        )
