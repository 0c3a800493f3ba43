"""An upload's metadata against its files, before the store is looked at."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.bindings.model import PlainBinding
from nightsafe.errors import Code, NightsafeError
from nightsafe.store.model import Inherit, Module
from nightsafe.workers.limits import Limits
from nightsafe.workers.upload import SCRIPT_LEVEL, VERSION_LEVEL, ParsedUpload, Part, parse_upload

MAIN = Part("main.js", "application/javascript+module", b"export default {}")
OTHER = Part("other.wasm", "application/wasm", b"\0asm")
LIMITS = Limits(max_bindings=4, max_modules=3, max_annotation_bytes=50)


def parsed(parts: tuple[Part, ...] = (MAIN,), **metadata: Any) -> ParsedUpload:
    """An upload that starts with the main module."""
    return parse_upload({"main_module": "main.js", **metadata}, parts, LIMITS)


def refused(parts: tuple[Part, ...] = (MAIN,), **metadata: Any) -> list[tuple[Code, str | None]]:
    """Why it is refused."""
    with pytest.raises(NightsafeError) as refusal:
        parsed(parts, **metadata)
    return [(problem.code, problem.pointer) for problem in refusal.value.problems]


def test_files_become_modules() -> None:
    """In their order, each with its SHA-256."""
    upload = parsed((OTHER, MAIN))

    assert (
        Module(OTHER.name, OTHER.content_type, hashlib.sha256(OTHER.body).digest(), OTHER.body)
    ) == upload.modules[0]
    assert ["other.wasm", "main.js"] == [module.name for module in upload.modules]
    assert upload.main_module == "main.js"


def test_bindings_are_sorted_by_what_becomes_of_them() -> None:
    """Secrets are to be sealed, plain ones kept as they are, others inherited."""
    plain = {"name": "P", "type": "plain_text", "text": "x"}
    upload = parsed(
        bindings=[
            {"name": "S", "type": "secret_text", "text": "x"},
            plain,
            {"name": "I", "type": "inherit"},
            {"name": "J", "type": "inherit", "old_name": "K"},
        ]
    )

    assert ["S"] == [secret.name for secret in upload.secrets]
    assert (PlainBinding("P", "plain_text", plain),) == upload.plain
    assert (Inherit("I", "I"), Inherit("J", "K")) == upload.inherits


@pytest.mark.parametrize(
    ("keep", "kinds"),
    [
        ({}, {"secret_text", "secret_key"}),
        ({"keep_bindings": None}, {"secret_text", "secret_key"}),
        ({"keep_bindings": []}, set()),
        ({"keep_bindings": ["plain_text", "plain_text"]}, {"plain_text"}),
        ({"keep_bindings": ["secret_key", "json"]}, {"secret_key", "json"}),
    ],
)
def test_secrets_are_kept_unless_a_list_says_otherwise(keep: dict[str, Any], kinds: set[str]) -> None:
    """No upload loses a secret by saying nothing; a list stands for itself."""
    assert kinds == parsed(**keep).keep


VALUES: dict[type, list[Any]] = {
    bool: [True, False],
    str: ["standard"],
    list: [[], ["nodejs_compat"]],
    dict: [{}, {"mode": "smart"}],
}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@given(st.data(), st.dictionaries(NAMES, st.just("misplaced"), max_size=4))
def test_settings_are_kept_apart_and_nothing_else_is(data: st.DataObject, unknown: dict[str, Any]) -> None:
    """What belongs to the script and what belongs to the version do not mix; a member nobody knows is dropped."""
    version, script = (
        {name: data.draw(st.sampled_from(VALUES[kind])) for name, kind in level.items() if not name.endswith("date")}
        for level in (VERSION_LEVEL, SCRIPT_LEVEL)
    )
    upload = parsed(**{**unknown, **version, **script, "annotations": {"a": 1}, "compatibility_date": "2026-01-01"})

    assert script == json.loads(upload.script_settings)
    assert version | {"compatibility_date": "2026-01-01"} == json.loads(upload.settings)
    assert json.loads(upload.annotations) == {"a": 1}


@pytest.mark.parametrize("name", sorted({**VERSION_LEVEL, **SCRIPT_LEVEL}))
def test_a_setting_has_its_type(name: str) -> None:
    """A setting of another type is refused with a pointer to it: it would be shown to clients that rely on it."""
    with pytest.raises(NightsafeError) as refusal:
        parse_upload({"main_module": "main.js", name: 1}, (MAIN,), LIMITS)

    assert (Code.INVALID, f"/{name}") == (refusal.value.code, refusal.value.problems[0].pointer)


@pytest.mark.parametrize(
    ("metadata", "problems"),
    [
        ({"main_module": None}, [(Code.INVALID, "/main_module")]),
        ({"main_module": 1}, [(Code.INVALID, "/main_module")]),
        ({"main_module": "absent.js"}, [(Code.INVALID, "/main_module")]),
        ({"bindings": None}, [(Code.INVALID, "/bindings")]),
        ({"bindings": {}}, [(Code.INVALID, "/bindings")]),
        ({"bindings": [1] * 5}, [(Code.INVALID, "/bindings")]),
        (
            {"bindings": [1, {"type": "kv_namespace"}, {"name": "A", "type": "secret_text"}, {"type": "?"}]},
            [
                (Code.INVALID, "/bindings/0"),
                (Code.BINDING_UNNAMED, "/bindings/1/name"),
                (Code.INVALID, "/bindings/2/text"),
                (Code.BINDING_UNNAMED, "/bindings/3/name"),
            ],
        ),
        (
            {"bindings": [{"name": "A", "type": kind} for kind in ("ai", "inherit", "browser")]},
            [(Code.BINDING_NAME_TAKEN, "/bindings")] * 2,
        ),
        ({"keep_bindings": "secret_text"}, [(Code.INVALID, "/keep_bindings")]),
        ({"keep_bindings": ["inherit"]}, [(Code.INVALID, "/keep_bindings")]),
        ({"keep_bindings": [["secret_text"]]}, [(Code.INVALID, "/keep_bindings")]),
        ({"compatibility_date": "2026-1-1"}, [(Code.INVALID, "/compatibility_date")]),
        ({"compatibility_date": "2026-01-01\n"}, [(Code.INVALID, "/compatibility_date")]),
        ({"compatibility_flags": "x"}, [(Code.INVALID, "/compatibility_flags")]),
        ({"compatibility_flags": [1]}, [(Code.INVALID, "/compatibility_flags")]),
        ({"annotations": []}, [(Code.INVALID, "/annotations")]),
        ({"annotations": {"a": "x" * 50}}, [(Code.INVALID, "/annotations")]),
    ],
)
def test_what_cannot_be_is_pointed_at(metadata: dict[str, Any], problems: list[Any]) -> None:
    """Every binding at fault is told at once; other faults one at a time."""
    assert problems == refused(**metadata)


def test_a_classic_script_is_named_by_its_part() -> None:
    """`body_part` stands for `main_module`, which wins when both are there."""
    assert parse_upload({"body_part": "main.js"}, (MAIN,), LIMITS).main_module == "main.js"
    assert parsed(body_part="absent.js").main_module == "main.js"
    assert [(Code.INVALID, "")] == refused((MAIN, MAIN))
    assert [(Code.INVALID, "")] == refused((*(Part(f"{at}.js", "", b"") for at in range(3)), MAIN))
