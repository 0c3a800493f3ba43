"""A list of bindings that replaces all: what each entry of it comes to."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.bindings.kinds import PLAIN_KINDS
from nightsafe.bindings.model import SECRET_KINDS
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits
from nightsafe.services.scripts.bindings_update import needs_existing, parse_bindings, resolve
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Binding

LIMITS = Limits()
VALUELESS = {"bare", "inherit"}
KEY = {
    "type": "secret_key",
    "name": "K",
    "format": "raw",
    "algorithm": {"name": "HMAC", "hash": "SHA-1"},
    "usages": [],
}


def raw(form: str, name: str) -> dict[str, object]:
    """One entry as a client may write it."""
    forms: dict[str, dict[str, object]] = {
        "bare": {"type": "secret_text", "name": name},
        "inherit": {"type": "inherit", "name": name},
        "plain": {"type": "plain_text", "name": name, "text": "x"},
        "secret": {"type": "secret_text", "name": name, "text": "x"},
    }
    return forms[form]


FORMS = st.sampled_from(["bare", "inherit", "plain", "secret"])


@given(st.lists(st.tuples(FORMS, st.sampled_from("abc")), max_size=8))
def test_each_name_comes_to_one_thing(entries: list[tuple[str, str]]) -> None:
    """The last entry of a name counts, as long as none before it brought a value; else the name is refused."""
    last: dict[str, str] = {}
    refused = []
    for form, name in entries:
        if last.get(name, "bare") in VALUELESS:
            last[name] = form
        else:
            refused.append(name)

    if refused:
        with pytest.raises(NightsafeError) as refusal:
            parse_bindings([raw(*entry) for entry in entries], LIMITS)
        expected = [(Code.BINDING_NAME_TAKEN, name) for name in refused]
        assert expected == [(one.code, one.detail) for one in refusal.value.problems]
        return
    result = resolve(parse_bindings([raw(*entry) for entry in entries], LIMITS), ())

    def of(*forms: str) -> list[str]:
        """Names that come to these forms."""
        return sorted(name for name, form in last.items() if form in forms)

    assert of("secret") == sorted(one.name for one in result.secrets)
    assert of("plain") == sorted(one.name for one in result.plain)
    assert of(*VALUELESS) == sorted(one.name for one in result.bindings_update.inherits)
    assert result.bindings_update.strict
    assert frozenset() == result.bindings_update.keep


@pytest.mark.parametrize("kind", sorted({*SECRET_KINDS, *PLAIN_KINDS}))
def test_every_kind_can_be_kept_by_its_name(kind: str) -> None:
    """A bare entry of a kind that is there keeps it, whatever the kind."""
    there = Binding("N", kind, msgspec.json.encode({"name": "N", "type": kind, "more": 1}))

    result = resolve(parse_bindings([{"type": kind, "name": "N"}], LIMITS), [there])

    assert (Inherit("N", "N"),) == result.bindings_update.inherits
    assert ((), ()) == (result.secrets, result.plain)


def test_a_kind_without_members_is_made_in_place_of_another() -> None:
    """What has the name now is of another kind, so it is not meant."""
    there = Binding("N", "plain_text", b'{"name":"N","type":"plain_text","text":"x"}')
    entries = parse_bindings([{"type": "browser", "name": "N"}], LIMITS)

    assert needs_existing(entries)
    assert ["browser"] == [one.kind for one in resolve(entries, [there]).plain]


def test_a_key_as_it_is_shown_is_kept() -> None:
    """Its metadata are what is there; were they not, its value would be needed."""
    there = Binding("K", "secret_key", msgspec.json.encode(KEY), b"sealed", "key")
    entries = parse_bindings([KEY], LIMITS)

    assert (Inherit("K", "K"),) == resolve(entries, [there]).bindings_update.inherits
    for held in ((), [Binding("K", "secret_key", msgspec.json.encode(KEY | {"format": "pkcs8"}), b"sealed", "key")]):
        with pytest.raises(NightsafeError) as refusal:
            resolve(entries, held)
        assert "/bindings/0/key_base64" == refusal.value.problems[0].pointer


@pytest.mark.parametrize(
    ("entry", "code", "pointer"),
    [
        (1, Code.INVALID, "/bindings/0"),
        ({}, Code.INVALID, "/bindings/0/type"),
        ({"type": 1, "name": "a"}, Code.INVALID, "/bindings/0/type"),
        ({"type": ["secret_text"], "name": "a"}, Code.INVALID, "/bindings/0/type"),
        ({"type": "secret_text"}, Code.BINDING_UNNAMED, "/bindings/0/name"),
        ({"type": "secret_text", "name": ""}, Code.BINDING_UNNAMED, "/bindings/0/name"),
        ({"type": "secret_text", "name": 1}, Code.INVALID, "/bindings/0/name"),
        ({"type": "secret_text", "name": "a", "text": None}, Code.INVALID, "/bindings/0/text"),
        ({"type": "secret_text", "name": "a" * 2713}, Code.BINDING_NAME_TOO_LONG, "/bindings/0/name"),
        ({"type": "secret_text", "name": "a", "text": "x" * 5121}, Code.BINDING_TOO_LARGE, "/bindings/0/text"),
        ({"type": "inherit", "name": "a", "version_id": "v"}, Code.INHERIT_VERSION, "/bindings/0/version_id"),
        (KEY | {"name": None}, Code.BINDING_UNNAMED, "/bindings/0/name"),
    ],
)
def test_an_entry_at_fault_is_pointed_at(entry: object, code: Code, pointer: str) -> None:
    """The refusals of an upload hold here, too."""
    with pytest.raises(NightsafeError) as refusal:
        parse_bindings([entry], LIMITS)

    assert [(code, pointer)] == [(one.code, one.pointer) for one in refusal.value.problems]
