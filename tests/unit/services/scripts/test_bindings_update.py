"""A list of bindings that replaces all bindings: the result of each entry."""

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
    """Return one entry in the form of a request."""
    forms: dict[str, dict[str, object]] = {
        "bare": {"type": "secret_text", "name": name},
        "inherit": {"type": "inherit", "name": name},
        "plain": {"type": "plain_text", "name": name, "text": "x"},
        "secret": {"type": "secret_text", "name": name, "text": "x"},
    }
    return forms[form]


FORMS = st.sampled_from(["bare", "inherit", "plain", "secret"])


@given(st.lists(st.tuples(FORMS, st.sampled_from("abc")), max_size=8))
def test_the_last_entry_of_a_name_counts(entries: list[tuple[str, str]]) -> None:
    """The last entry of a name counts, unless an earlier one has a value; then the name is refused."""
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
        assert expected == [(problem.code, problem.detail) for problem in refusal.value.problems]
        return
    result = resolve(parse_bindings([raw(*entry) for entry in entries], LIMITS), ())

    def names_of(*forms: str) -> list[str]:
        """Return the names whose last entry has one of these forms."""
        return sorted(name for name, form in last.items() if form in forms)

    assert names_of("secret") == sorted(secret.name for secret in result.secrets)
    assert names_of("plain") == sorted(plain.name for plain in result.plain)
    assert names_of(*VALUELESS) == sorted(inherit.name for inherit in result.bindings_update.inherits)
    assert result.bindings_update.strict
    assert frozenset() == result.bindings_update.keep


@pytest.mark.parametrize("kind", sorted({*SECRET_KINDS, *PLAIN_KINDS}))
def test_every_kind_can_be_kept_by_its_name(kind: str) -> None:
    """An entry of only type and name keeps an existing binding of any type."""
    existing = Binding("N", kind, msgspec.json.encode({"name": "N", "type": kind, "more": 1}))

    result = resolve(parse_bindings([{"type": kind, "name": "N"}], LIMITS), [existing])

    assert (Inherit("N", "N"),) == result.bindings_update.inherits
    assert ((), ()) == (result.secrets, result.plain)


def test_a_memberless_binding_replaces_one_of_another_type() -> None:
    """An entry without members makes a new binding if the name belongs to another type."""
    existing = Binding("N", "plain_text", b'{"name":"N","type":"plain_text","text":"x"}')
    entries = parse_bindings([{"type": "browser", "name": "N"}], LIMITS)

    assert needs_existing(entries)
    assert ["browser"] == [plain.kind for plain in resolve(entries, [existing]).plain]


def test_a_key_with_unchanged_metadata_is_kept() -> None:
    """A key is kept if the entry has the same metadata; otherwise its value is required."""
    existing = Binding("K", "secret_key", msgspec.json.encode(KEY), b"sealed", "key")
    entries = parse_bindings([KEY], LIMITS)

    assert (Inherit("K", "K"),) == resolve(entries, [existing]).bindings_update.inherits
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
def test_a_bad_entry_is_refused_with_a_pointer(entry: object, code: Code, pointer: str) -> None:
    """Bad entries are refused as in an upload, with a pointer."""
    with pytest.raises(NightsafeError) as refusal:
        parse_bindings([entry], LIMITS)

    assert [(code, pointer)] == [(problem.code, problem.pointer) for problem in refusal.value.problems]
