"""Request bodies that create tokens: any JSON."""

from nightsafe.api.http.body import parse_json
from nightsafe.api.identity.token_fields import parse_token_request
from nightsafe.errors import NightsafeError
from nightsafe.identity.policy import encode_policies, parse_policies


def check(data: bytes) -> None:
    """Check that it is refused with what is wrong, or is a token whose policies survive being stored."""
    try:
        wanted = parse_token_request(parse_json(data), account_id="0" * 32)
    except NightsafeError as refused:
        assert refused.problems
        return
    again = parse_policies(encode_policies(wanted.policies))
    assert [policy.resources for policy in again] == [policy.resources for policy in wanted.policies]
