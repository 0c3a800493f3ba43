"""An upload's metadata against its files, before the store is looked at."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightsafe.bindings.model import PlainBinding
from nightsafe.errors import Code, NightsafeError
from nightsafe.services.limits import Limits
from nightsafe.services.scripts.modules import Part
from nightsafe.services.scripts.setting_fields import SCRIPT_LEVEL, VERSION_LEVEL
from nightsafe.services.scripts.upload import ParsedUpload, parse_upload
from nightsafe.store.script_edit import Inherit
from nightsafe.store.scripts import Module

MAIN = Part("main.js", "application/javascript+module", b"export default {}")
OTHER = Part("other.wasm", "application/wasm", b"\0asm")
LIMITS = Limits(max_bindings=4, max_modules=3, max_annotation_bytes=50)


def parsed(parts: tuple[Part, ...] = (MAIN,), **metadata: Any) -> ParsedUpload:
    """An upload that starts with the main module."""
    return parse_upload({"main_module": "main.js", **metadata}, parts, LIMITS, in_force=False)


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
    ) == upload.source.modules[0]
    assert ["other.wasm", "main.js"] == [module.name for module in upload.source.modules]
    assert ("main.js", False) == (upload.source.main_module, upload.source.classic)


@pytest.mark.parametrize(
    ("name", "filename", "known"),
    [
        ("files", "main.js", "main.js"),
        ("files[]", "main.js", "main.js"),
        ("main.js", None, "main.js"),
        ("main.js", "src/index.js", "main.js"),
        ("main.js", "", "main.js"),
        ("src/index.js", "main.js", "main.js"),
    ],
)
def test_the_main_module_is_known_by_either_name(name: str, filename: str | None, known: str) -> None:
    """By its file name or, where that is another, by its part's; it is kept under the name the metadata gives."""
    upload = parsed((OTHER, Part(name, MAIN.content_type, MAIN.body, filename)))

    assert known == upload.source.main_module
    assert ["other.wasm", known] == [module.name for module in upload.source.modules]


def test_a_part_of_a_binding_is_known_by_its_parts_name() -> None:
    """As wrangler sends the files of a classic script; a binding whose part has not come is refused."""
    code = Part("WASM", "application/wasm", b"\0asm", "./module.wasm")
    binding = {"name": "WASM", "type": "wasm_module", "part": "WASM"}

    upload = parse_upload({"body_part": "main.js", "bindings": [binding]}, (MAIN, code), LIMITS, in_force=False)

    assert ["main.js", "WASM"] == [module.name for module in upload.source.modules]
    for bad in (binding | {"part": "module.wasm"}, {"name": "WASM", "type": "text_blob"}, binding | {"part": 1}):
        assert [(Code.INVALID, "/bindings")] == refused((MAIN, code), bindings=[bad])


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
        ({"keep_bindings": ["plain_text", "plain_text"]}, {"plain_text", "secret_text", "secret_key"}),
        ({"keep_bindings": ["secret_key", "json"]}, {"secret_key", "json"}),
    ],
)
def test_secrets_are_kept_unless_a_list_says_otherwise(keep: dict[str, Any], kinds: set[str]) -> None:
    """No upload loses a secret by saying nothing; a list stands for itself."""
    assert kinds == parsed(**keep).keep


VALUES: dict[type, list[Any]] = {
    bool: [True, False],
    str: ["standard"],
    list: [[]],
    dict: [{}, {"mode": "smart"}],
}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=3).map("no setting: {}".format)
"""Members that nobody knows, and that are no slip of one that is known."""


@given(st.data(), st.dictionaries(NAMES, st.just("misplaced"), max_size=4))
def test_settings_are_kept_apart_and_nothing_else_is(data: st.DataObject, unknown: dict[str, Any]) -> None:
    """What belongs to the script and what belongs to the version do not mix; a member nobody knows is dropped."""
    version, script = (
        {name: data.draw(st.sampled_from(VALUES[kind])) for name, kind in level.items() if not name.endswith("date")}
        for level in (VERSION_LEVEL, SCRIPT_LEVEL)
    )
    upload = parsed(**{**unknown, **version, **script, "keep_assets": True, "compatibility_date": "2026-01-01"})

    assert script == json.loads(upload.script_settings)
    assert version | {"compatibility_date": "2026-01-01"} == json.loads(upload.settings)


@pytest.mark.parametrize("name", sorted({**VERSION_LEVEL, **SCRIPT_LEVEL}))
def test_a_setting_has_its_type(name: str) -> None:
    """A setting of another type is refused with a pointer to it: it would be shown to clients that rely on it."""
    with pytest.raises(NightsafeError) as refusal:
        parse_upload({"main_module": "main.js", name: 1}, (MAIN,), LIMITS, in_force=False)

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
            {"bindings": [1, {"type": "kv_namespace"}, {"name": "A", "type": "secret_text", "x": 1}, {"type": "?"}]},
            [
                (Code.INVALID, "/bindings/0"),
                (Code.BINDING_UNNAMED, "/bindings/1/name"),
                (Code.INVALID, "/bindings/2/text"),
                (Code.BINDING_UNNAMED, "/bindings/3/name"),
            ],
        ),
        (
            {"bindings": [{"name": "A", "type": kind} for kind in ("ai", "inherit", "browser")]},
            [(Code.BINDING_NAME_TAKEN, "/bindings/1"), (Code.BINDING_NAME_TAKEN, "/bindings/2")],
        ),
        ({"keep_bindings": "secret_text"}, [(Code.INVALID, "/keep_bindings")]),
        ({"keep_bindings": ["inherit"]}, [(Code.INVALID, "/keep_bindings")]),
        ({"keep_bindings": [["secret_text"]]}, [(Code.INVALID, "/keep_bindings")]),
        ({"compatibility_date": "2026-1-1"}, [(Code.INVALID, "/compatibility_date")]),
        ({"compatibility_date": "2026-01-01\n"}, [(Code.INVALID, "/compatibility_date")]),
        ({"compatibility_flags": "x"}, [(Code.INVALID, "/compatibility_flags")]),
        ({"compatibility_flags": [1]}, [(Code.INVALID, "/compatibility_flags")]),
        ({"annotations": []}, [(Code.INVALID, "/annotations")]),
        ({"annotations": {"workers/message": "x" * 50}}, [(Code.INVALID, "/annotations")]),
        ({"annotations": {"workers/tag": 1}}, [(Code.INVALID, "/annotations/workers~1tag")]),
        ({"tags": ["x"] * 11}, [(Code.INVALID, "/tags")]),
        ({"tags": ["x" * 1025]}, [(Code.INVALID, "/tags")]),
        ({"tags": ["a,b"]}, [(Code.INVALID, "/tags")]),
        ({"tags": ["a&b"]}, [(Code.INVALID, "/tags")]),
        ({"tags": [1]}, [(Code.INVALID, "/tags")]),
        ({"tail_consumers": ["service"]}, [(Code.INVALID, "/tail_consumers/0")]),
        ({"keep_assets": "yes"}, [(Code.INVALID, "/keep_assets")]),
        ({"assets": {"jwt": "made up"}}, [(Code.UNSUPPORTED, "/assets/jwt")]),
        ({"migrations": []}, [(Code.INVALID, "/migrations")]),
        ({"migrations": {"old_tag": 1}}, [(Code.INVALID, "/migrations/old_tag")]),
        ({"migrations": {"new_tag": "x" * 1025}}, [(Code.INVALID, "/migrations/new_tag")]),
    ],
)
def test_what_cannot_be_is_pointed_at(metadata: dict[str, Any], problems: list[Any]) -> None:
    """Every binding at fault is told at once; other faults one at a time."""
    assert problems == refused(**metadata)


def test_a_classic_script_is_named_by_its_part() -> None:
    """`body_part` stands for `main_module`, which wins when both are there."""
    classic = parse_upload({"body_part": "main.js"}, (MAIN,), LIMITS, in_force=False)

    assert ("main.js", True) == (classic.source.main_module, classic.source.classic)
    assert {"body_part": "main.js"} == json.loads(classic.settings)
    assert parsed(body_part="absent.js").source.main_module == "main.js"
    assert [(Code.INVALID, "")] == refused((MAIN, MAIN))
    assert [(Code.INVALID, "")] == refused((*(Part(f"{at}.js", "", b"") for at in range(3)), MAIN))


@pytest.mark.parametrize(
    ("migrations", "tags"),
    [
        ({}, (None, None)),
        ({"new_tag": "v1", "new_classes": ["A"]}, (None, "v1")),
        ({"old_tag": "v1", "new_tag": "v2", "steps": [{"deleted_classes": ["A"]}]}, ("v1", "v2")),
    ],
)
def test_migrations_come_down_to_their_tags(migrations: dict[str, Any], tags: tuple[str | None, str | None]) -> None:
    """Of one step or several; what they do to classes is not kept, and without any there is none."""
    migration = parsed(migrations=migrations).migration

    assert migration is not None
    assert tags == (migration.old_tag, migration.new_tag)
    assert parsed().migration is None
