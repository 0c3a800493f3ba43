"""Names in a path: decoded once, and nothing else done to them."""

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
    """Percent-encoded, wholly or in part, it comes back; encoded twice it comes back encoded once."""
    encoded = quote(name, safe="".join(one for one in safe if one not in "%/"))

    assert name == decode_segment(encoded, RAW)
    assert encoded == decode_segment(quote(encoded, safe=""), RAW)


@given(st.binary(min_size=1))
def test_any_bytes_are_decoded_or_refused(segment: bytes) -> None:
    """UTF-8 is taken, raw or escaped; anything else is a bad identifier."""
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
def test_what_a_segment_means(segment: str, name: str) -> None:
    """A plus is a plus, and a percent sign that begins no escape is itself."""
    assert name == decode_segment(segment, RAW)


@pytest.mark.parametrize(
    "account",
    ["", ACCOUNT[1:], ACCOUNT + "0", ACCOUNT.upper(), ACCOUNT + "\n", "g" * 32, "\N{FULLWIDTH DIGIT ZERO}" * 32],
)
def test_an_account_is_32_hex_digits(account: str) -> None:
    """In lower case, and nothing around them."""
    assert ACCOUNT == account_id(ACCOUNT, RAW)
    with pytest.raises(NightsafeError) as refused:
        account_id(account, RAW)
    assert refused.value.code == Code.BAD_IDENTIFIER


@given(name=names())
def test_a_secret_is_found_under_its_name_alone(own: Api, name: str) -> None:
    """What was put under a name is got under it, however it is written, and under no other spelling of it."""
    assert own.put("worker", text(name)).result["name"] == name
    everything = "".join(f"%{byte:02X}" for byte in name.encode())

    for spelling in (quote(name, safe=""), quote(name, safe="!$&'()*+,;=:@"), everything, everything.lower()):
        assert own.send("GET", f"{secrets_of('worker')}/{spelling}").result["name"] == name
    twice = own.send("GET", f"{secrets_of('worker')}/{quote(everything, safe='')}")
    assert twice.codes == [10056]
    assert own.send("DELETE", f"{secrets_of('worker')}/{everything}").result is None


@pytest.fixture(scope="module")
def own(api: Api) -> Api:
    """The shared API, under a name that no function-scoped fixture has."""
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
def test_a_path_is_taken_as_it_came(api: Api, path: str, refusal: object) -> None:
    """Nothing is merged, stripped or redirected."""
    assert refusal == api.send("GET", path).refusal


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "TRACE", "get", "PATCH"])
def test_other_methods_are_refused_with_those_there_are(api: Api, method: str) -> None:
    """405 tells which ones are allowed, before any credential is looked at."""
    answer = api.send(method, secrets_of("worker"), anonymous=True)

    assert (405, [10405]) == answer.refusal
    assert answer.header(b"allow") == b"GET, PUT"
