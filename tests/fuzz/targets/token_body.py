"""Bodies that make tokens: any JSON."""

from nightsafe.api.http.body import parse_json
from nightsafe.api.identity.token_fields import parse_token_request
from nightsafe.errors import NightsafeError
from nightsafe.identity.policy import encode_policies, parse_policies


def one(data: bytes) -> None:
    """It is refused with what is wrong, or is a token whose policies are stored and read back."""
    try:
        wanted = parse_token_request(parse_json(data), account_id="0" * 32)
    except NightsafeError as refused:
        assert refused.problems
        return
    again = parse_policies(encode_policies(wanted.policies))
    assert [one.resources for one in again] == [one.resources for one in wanted.policies]
