"""Names in paths: each segment is decoded once and not changed otherwise."""

from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.api.tools.driver import ACCOUNT, Api, secrets_of
from tests.unit.api.tools.values import names, text

from nightsafe.api.http.path import account_id, decode_segment
from nightsafe.errors import Code, NightsafeError

RAW = b"/the/path"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=5))
def test_a_name_is_decoded_once(name: str, safe: str) -> None:
    """A percent-encoded segment is decoded once, even if it was encoded twice."""
    encoded = quote(name, safe="".join(character for character in safe if character not in "%/"))

    assert name == decode_segment(encoded, RAW)
    assert encoded == decode_segment(quote(encoded, safe=""), RAW)


@given(st.binary(min_size=1))
def test_any_bytes_are_decoded_or_refused(segment: bytes) -> None:
    """UTF-8 is accepted, raw or escaped; other bytes are refused as a bad identifier."""
    for sent in (quote_from_bytes(segment, safe=""), segment.replace(b"%", b"%25").decode("latin-1")):
        if segment.decode("utf-8", "replace").encode() == segment:
            assert segment == decode_segment(sent, RAW).encode()
        else:
            with pytest.raises(NightsafeError) as refused:
                decode_segment(sent, RAW)
            assert refused.value.code == Code.BAD_IDENTIFIER


@pytest.mark.parametrize(
    ("segment", "name"),
    [
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("a%2fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("100%", "100%"),
        ("%", "%"),
        ("%zz", "%zz"),
        ("%2", "%2"),
        ("%00", "\0"),
        ("%2e%2E", ".."),
        ("Ã©", "é"),
        ("", ""),
    ],
)
def test_plus_and_stray_percent_signs_are_literal(segment: str, name: str) -> None:
    """A plus sign stays a plus sign, and a percent sign that begins no escape stays itself."""
    assert name == decode_segment(segment, RAW)


@pytest.mark.parametrize(
    "account",
    ["", ACCOUNT[1:], ACCOUNT + "0", ACCOUNT.upper(), ACCOUNT + "\n", "g" * 32, "\N{FULLWIDTH DIGIT ZERO}" * 32],
)
def test_an_account_id_is_32_hex_digits(account: str) -> None:
    """An account ID is 32 lower-case hexadecimal digits and nothing else."""
    assert ACCOUNT == account_id(ACCOUNT, RAW)
    with pytest.raises(NightsafeError) as refused:
        account_id(account, RAW)
    assert refused.value.code == Code.BAD_IDENTIFIER


@given(name=names())
def test_a_secret_is_found_under_its_name_only(shared_api: Api, name: str) -> None:
    """A secret is found under every encoding of its name, and not under a name that is encoded twice."""
    assert shared_api.put("worker", text(name)).result["name"] == name
    fully_encoded = "".join(f"%{byte:02X}" for byte in name.encode())

    for spelling in (quote(name, safe=""), quote(name, safe="!$&'()*+,;=:@"), fully_encoded, fully_encoded.lower()):
        assert shared_api.send("GET", f"{secrets_of('worker')}/{spelling}").result["name"] == name
    twice = shared_api.send("GET", f"{secrets_of('worker')}/{quote(fully_encoded, safe='')}")
    assert twice.codes == [10056]
    assert shared_api.send("DELETE", f"{secrets_of('worker')}/{fully_encoded}").result is None


@pytest.fixture(scope="module")
def shared_api(api: Api) -> Api:
    """Return the shared API under a name that no function-scoped fixture has."""
    return api


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/", (400, [7000])),
        ("/client/v4", (400, [7000])),
        ("/client/v4/users", (400, [7000])),
        ("/client/v4/accounts/", (404, [7003, 7000])),
        (f"/client/v4/accounts/{ACCOUNT}/workers/scripts/", (404, [7003, 7000])),
        (f"/client/v4/accounts/{ACCOUNT}/workers/scripts/w/secrets/", (404, [7003, 7000])),
        (f"/client/v4/accounts/{ACCOUNT}/workers/scripts/w/secrets/a/b", (404, [7003, 7000])),
        (f"//client/v4/accounts/{ACCOUNT}/workers/scripts", (400, [7000])),
        (f"/client/v4/accounts/{ACCOUNT.upper()}/workers/scripts", (404, [7003])),
        (f"/client/v4/accounts/%30{ACCOUNT[1:]}/workers/scripts", (404, [7003])),
        (f"/client/v4/accounts/{ACCOUNT}/workers/scripts/w/secrets/%ff", (404, [7003])),
    ],
)
def test_a_path_is_not_normalised(api: Api, path: str, refusal: object) -> None:
    """A path is not normalised: slashes are not merged or stripped, and there is no redirect."""
    assert refusal == api.send("GET", path).refusal


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "TRACE", "get", "PATCH"])
def test_other_methods_get_405_with_the_allowed_ones(api: Api, method: str) -> None:
    """Other methods get 405 with the allowed ones, before credentials are checked."""
    answer = api.send(method, secrets_of("worker"), anonymous=True)

    assert (405, [10405]) == answer.refusal
    assert answer.header(b"allow") == b"GET, PUT"
