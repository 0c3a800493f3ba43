"""The differences that an approver reads."""

from msgspec.structs import replace

from nightsafe.bundle.approvals.manifest import Manifest, ManifestBinding, ManifestModule
from nightsafe.cli.approval.changes import changes

SECRET = ManifestBinding(name="S", kind="secret_text", shown='{"name":"S","type":"secret_text"}', value=b"1")
TEXT = ManifestBinding(name="T", kind="plain_text", shown='{"name":"T","type":"plain_text","text":"t"}')
MODULE = ManifestModule("m.js", "text/javascript", b"\1" * 32)
OLD = Manifest(
    account_id="a",
    namespace="",
    script="s",
    script_id="0",
    version="v",
    number=1,
    main_module="m.js",
    modules=(MODULE,),
    settings='{"compatibility_date":"2026-01-01"}',
    bindings=(SECRET, TEXT),
)


def shown(old: Manifest | None, new: Manifest) -> list[tuple[str, ...]]:
    """Return the differences without their descriptions."""
    return [(change.change, change.part, change.name) for change in changes(old, new)]


def test_without_an_approved_version_every_part_is_new() -> None:
    """Every module, setting and binding of a first version is listed, with its digest, JSON or kind."""
    assert [
        ("new", "module", "(main module)", "m.js"),
        ("new", "module", "m.js", f"{'01' * 32} text/javascript"),
        ("new", "setting", "compatibility_date", '"2026-01-01"'),
        ("new", "binding", "S", "secret_text"),
        ("new", "binding", "T", 'plain_text {"text":"t"}'),
    ] == [tuple(change) for change in changes(None, OLD)]


def test_equal_versions_have_no_difference() -> None:
    """A version with the same parts under another number has no difference."""
    assert [] == changes(OLD, replace(OLD, version="w", number=2))


def test_each_part_that_differs_is_named() -> None:
    """Each part is new, changed or removed."""
    new = replace(
        OLD,
        modules=(replace(MODULE, digest=b"\2" * 32), replace(MODULE, name="n.js")),
        main_module="n.js",
        settings='{"limits":{"cpu_ms":5}}',
        bindings=(replace(SECRET, value=b"2"), replace(TEXT, shown='{"name":"T","text":"u"}')),
    )

    assert [
        ("changed", "module", "(main module)"),
        ("changed", "module", "m.js"),
        ("new", "module", "n.js"),
        ("new", "setting", "limits"),
        ("removed", "setting", "compatibility_date"),
        ("changed", "binding", "T"),
        ("changed", "value", "S"),
    ] == shown(OLD, new)


def test_a_second_module_of_the_same_name_is_not_hidden() -> None:
    """Of two modules with one name, the one that was added is listed."""
    twice = replace(OLD, modules=(replace(MODULE, digest=b"\2" * 32), MODULE))

    assert [("new", "module", "m.js", f"{'02' * 32} text/javascript")] == [
        tuple(change) for change in changes(OLD, twice)
    ]


def test_a_difference_without_a_name_is_told() -> None:
    """Another form of the same settings is a difference, since the signature covers it."""
    assert [("changed", "code", "")] == shown(OLD, replace(OLD, settings='{ "compatibility_date":"2026-01-01"}'))


def test_the_secret_of_a_store_is_named() -> None:
    """For a secret of a store, the name that its value was sealed to is shown, since the server chooses it."""
    stored = ManifestBinding(
        name="P",
        kind="secrets_store_secret",
        shown='{"name":"P","type":"secrets_store_secret","store_id":"1","secret_name":"greeting"}',
        store_id="1",
        sealed_name="password",
    )
    (change,) = changes(OLD, replace(OLD, bindings=(*OLD.bindings, stored)))

    assert change.now.endswith("sealed as password in 1")
