"""Parsing of an upload's metadata and files, without the store."""

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
    """Return an upload with this metadata and the main module as entry point."""
    return parse_upload({"main_module": "main.js", **metadata}, parts, LIMITS, deployed=False)


def refused(parts: tuple[Part, ...] = (MAIN,), **metadata: Any) -> list[tuple[Code, str | None]]:
    """Return the codes and pointers of a refusal."""
    with pytest.raises(NightsafeError) as refusal:
        parsed(parts, **metadata)
    return [(problem.code, problem.pointer) for problem in refusal.value.problems]


def test_files_become_modules() -> None:
    """Files become modules in their order, each with its SHA-256 digest."""
    upload = parsed((OTHER, MAIN))

    assert (
        Module(OTHER.name, OTHER.content_type, hashlib.sha256(OTHER.body).digest(), OTHER.body)
    ) == upload.source.modules[0]
    assert ["other.wasm", "main.js"] == [module.name for module in upload.source.modules]
    assert ("main.js", False) == (upload.source.main_module, upload.source.classic)


@pytest.mark.parametrize(
    ("name", "filename", "module"),
    [
        ("files", "main.js", "main.js"),
        ("files[]", "main.js", "main.js"),
        ("main.js", None, "main.js"),
        ("main.js", "src/index.js", "main.js"),
        ("main.js", "", "main.js"),
        ("src/index.js", "main.js", "main.js"),
    ],
)
def test_the_main_module_is_found_by_file_or_part_name(name: str, filename: str | None, module: str) -> None:
    """The main module is found by its file name or else its part's name, and keeps the name in the metadata."""
    upload = parsed((OTHER, Part(name, MAIN.content_type, MAIN.body, filename)))

    assert module == upload.source.main_module
    assert ["other.wasm", module] == [stored.name for stored in upload.source.modules]


def test_a_bindings_file_is_found_by_its_parts_name() -> None:
    """A binding's file is found by its part's name, as wrangler sends it; a missing one is refused."""
    code = Part("WASM", "application/wasm", b"\0asm", "./module.wasm")
    binding = {"name": "WASM", "type": "wasm_module", "part": "WASM"}

    upload = parse_upload({"body_part": "main.js", "bindings": [binding]}, (MAIN, code), LIMITS, deployed=False)

    assert ["main.js", "WASM"] == [module.name for module in upload.source.modules]
    for bad in (binding | {"part": "module.wasm"}, {"name": "WASM", "type": "text_blob"}, binding | {"part": 1}):
        assert [(Code.INVALID, "/bindings")] == refused((MAIN, code), bindings=[bad])


def test_bindings_are_sorted_into_secret_plain_and_inherited() -> None:
    """Bindings are sorted into secrets to seal, plain bindings to store, and inherited bindings."""
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
def test_secrets_are_kept_by_default(keep: dict[str, Any], kinds: set[str]) -> None:
    """Secrets are kept by default; a list of types replaces the default."""
    assert kinds == parsed(**keep).keep


VALUES: dict[type, list[Any]] = {
    bool: [True, False],
    str: ["standard"],
    list: [[]],
    dict: [{}, {"mode": "smart"}],
}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=3).map("no setting: {}".format)
"""Unknown members that are not close to a known one."""


@given(st.data(), st.dictionaries(NAMES, st.just("misplaced"), max_size=4))
def test_script_and_version_settings_are_separated(data: st.DataObject, unknown: dict[str, Any]) -> None:
    """Settings of the script and of the version are separated; unknown members are dropped."""
    version, script = (
        {name: data.draw(st.sampled_from(VALUES[kind])) for name, kind in level.items() if not name.endswith("date")}
        for level in (VERSION_LEVEL, SCRIPT_LEVEL)
    )
    upload = parsed(**{**unknown, **version, **script, "keep_assets": True, "compatibility_date": "2026-01-01"})

    assert script == json.loads(upload.script_settings)
    assert version | {"compatibility_date": "2026-01-01"} == json.loads(upload.settings)


@pytest.mark.parametrize("name", sorted({**VERSION_LEVEL, **SCRIPT_LEVEL}))
def test_a_setting_of_the_wrong_type_is_refused(name: str) -> None:
    """A setting of the wrong type is refused with a pointer, because clients rely on the types shown to them."""
    with pytest.raises(NightsafeError) as refusal:
        parse_upload({"main_module": "main.js", name: 1}, (MAIN,), LIMITS, deployed=False)

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
def test_invalid_metadata_is_refused_with_a_pointer(metadata: dict[str, Any], problems: list[Any]) -> None:
    """All bad bindings are reported at once; other problems one at a time."""
    assert problems == refused(**metadata)


def test_body_part_names_a_classic_script() -> None:
    """`body_part` names the entry point of a classic script; `main_module` wins over it."""
    classic = parse_upload({"body_part": "main.js"}, (MAIN,), LIMITS, deployed=False)

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
def test_migrations_are_reduced_to_their_tags(
    migrations: dict[str, Any], tags: tuple[str | None, str | None]
) -> None:
    """Migrations of one step or several are reduced to their tags."""
    migration = parsed(migrations=migrations).migration

    assert migration is not None
    assert tags == (migration.old_tag, migration.new_tag)
    assert parsed().migration is None
