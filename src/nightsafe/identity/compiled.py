"""Compiled tokens: the policies and condition of a stored token, parsed once and cached until they change."""

from typing import Final

from msgspec import Struct

from nightsafe.errors import Code, NightsafeError
from nightsafe.identity.conditions import Networks, networks_of
from nightsafe.identity.grants import Grants
from nightsafe.identity.policy import MAX_ENCODED, Policy, confine, exceeded_limit, parse_policies
from nightsafe.store.identities import Token

_MAX_WEIGHT: Final = 8 * 1024 * 1024
_MIN_WEIGHT: Final = 1024


_Source = tuple[bytes, bytes, str]
"""The fields of a token that the result depends on: its policies, its condition, and the account that owns it."""


class CompiledToken(Struct, frozen=True):
    """The grants of a token, and the addresses it may be used from.

    If the policies exceed a limit, `excess` says which; the token then allows nothing. Otherwise `excess` is "".
    """

    grants: Grants
    networks: Networks | None
    excess: str = ""


class CompiledTokens:
    """A cache of compiled tokens, by token ID.

    It is emptied when its estimated size exceeds 8 MiB.
    """

    def __init__(self) -> None:
        self._entries: dict[str, tuple[_Source, CompiledToken]] = {}
        self._weight = 0

    def of(self, token: Token) -> CompiledToken:
        """Return the compiled form of a token."""
        source = token.policies, token.condition, token.account_id
        cached = self._entries.get(token.id)
        if cached is not None and cached[0] == source:
            return cached[1]
        compiled = compiled_token(token)
        self._weight += weight_of(token)
        if self._weight > _MAX_WEIGHT:
            self._entries.clear()
            self._weight = weight_of(token)
        self._entries[token.id] = source, compiled
        return compiled


def compiled_token(token: Token) -> CompiledToken:
    """Compile a token.

    A token that an account owns gets grants in that account only. A token that exceeds a limit gets no grants.
    """
    policies, excess = _policies_of(token)
    return CompiledToken(Grants(policies), networks_of(token.condition), excess)


def weight_of(token: Token) -> int:
    """Return about how many bytes of memory a compiled token takes, estimated from its stored size."""
    return _MIN_WEIGHT + len(token.policies) + len(token.condition)


def _policies_of(token: Token) -> tuple[tuple[Policy, ...], str]:
    """Return a token's effective policies, and the limit that they exceed in words, or ""."""
    if len(token.policies) > MAX_ENCODED:
        return (), f"its policies are {len(token.policies)} bytes long; the limit is {MAX_ENCODED}"
    policies = parse_policies(token.policies)
    excess = exceeded_limit(policies)
    if excess:
        return (), excess
    if token.account_id:
        policies = tuple(confine(policy, token.account_id) for policy in policies)
    return policies, ""


def refuse_excess(token: Token, compiled: CompiledToken) -> None:
    """Refuse a token that exceeds a limit on policies.

    The limit was lowered since the token was made. Checking such a token could hold up other requests.

    Raises:
        NightsafeError: UNKNOWN_TOKEN; the detail, for the log, names the limit.
    """
    if compiled.excess:
        raise NightsafeError(
            Code.UNKNOWN_TOKEN,
            f"token {token.id} is refused: {compiled.excess}; shorten its policies, or split it into several tokens",
        )
