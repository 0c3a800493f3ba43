"""Digests of statements: each argument counts, and the order of bindings does not."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from nightsafe.bundle.statements import (
    ScriptIdentity,
    binding_digest,
    code_digest,
    content_digest,
    deployment_digest,
    triggers_digest,
    version_digest,
)

SCRIPT = ScriptIdentity("account", "namespace", "script", "tag")
BINDINGS = [bytes([number]) * 32 for number in range(3)]
VERSION: dict[str, Any] = {
    "script": SCRIPT,
    "number": 7,
    "version_id": b"v" * 16,
    "created_on": 1_700_000_000_000_000,
    "annotations": b"{}",
    "content": b"c" * 32,
    "bindings": BINDINGS,
}
BINDING: dict[str, Any] = {"name": "A", "kind": "secret_text", "shown": b"{}", "since": 3}
CONTENT: dict[str, Any] = {"etag": "ab", "settings": b"{}"}
MODULES = [("a.js", "text/javascript", b"1" * 32), ("b.js", "text/plain", b"2" * 32)]
CODE: dict[str, Any] = {"main_module": "a.js", "modules": MODULES}
SHARES = [(1, 90.0, b"1" * 32), (2, 10.0, b"2" * 32)]
DEPLOYMENT: dict[str, Any] = {"script": SCRIPT, "order": (5, 3), "deployment_id": b"d" * 16, "shares": SHARES}
TRIGGERS: dict[str, Any] = {"script": SCRIPT, "triggers": b'{"a":1}'}

SCRIPTS = [replace(SCRIPT, **{field: "other"}) for field in ScriptIdentity.__struct_fields__]
OTHERS: list[tuple[Callable[..., bytes | str], dict[str, Any], str, Any]] = [
    *((version_digest, VERSION, "script", script) for script in SCRIPTS),
    (version_digest, VERSION, "number", 8),
    (version_digest, VERSION, "version_id", b"w" * 16),
    (version_digest, VERSION, "created_on", 0),
    (version_digest, VERSION, "annotations", b'{"workers/tag":"v1"}'),
    (version_digest, VERSION, "content", b"d" * 32),
    (version_digest, VERSION, "bindings", BINDINGS[1:]),
    (version_digest, VERSION, "bindings", [*BINDINGS, BINDINGS[0]]),
    (version_digest, VERSION, "bindings", []),
    (binding_digest, BINDING, "name", "B"),
    (binding_digest, BINDING, "kind", "secret_key"),
    (binding_digest, BINDING, "shown", b'{"a":1}'),
    (binding_digest, BINDING, "since", 4),
    (content_digest, CONTENT, "etag", "ac"),
    (content_digest, CONTENT, "settings", b'{"a":1}'),
    (code_digest, CODE, "main_module", "b.js"),
    (code_digest, CODE, "modules", MODULES[:1]),
    (code_digest, CODE, "modules", MODULES[::-1]),
    (code_digest, CODE, "modules", [("c.js", *MODULES[0][1:]), MODULES[1]]),
    (code_digest, CODE, "modules", [("a.js", "text/plain", b"1" * 32), MODULES[1]]),
    (code_digest, CODE, "modules", [("a.js", "text/javascript", b"3" * 32), MODULES[1]]),
    *((deployment_digest, DEPLOYMENT, "script", script) for script in SCRIPTS),
    (deployment_digest, DEPLOYMENT, "order", (6, 3)),
    (deployment_digest, DEPLOYMENT, "order", (5, 0)),
    (deployment_digest, DEPLOYMENT, "deployment_id", b"e" * 16),
    (deployment_digest, DEPLOYMENT, "shares", SHARES[:1]),
    (deployment_digest, DEPLOYMENT, "shares", SHARES[::-1]),
    (deployment_digest, DEPLOYMENT, "shares", [(3, 90.0, b"1" * 32), SHARES[1]]),
    (deployment_digest, DEPLOYMENT, "shares", [(1, 90.5, b"1" * 32), SHARES[1]]),
    (deployment_digest, DEPLOYMENT, "shares", [(1, 90.0, b"3" * 32), SHARES[1]]),
    *((triggers_digest, TRIGGERS, "script", script) for script in SCRIPTS),
    (triggers_digest, TRIGGERS, "triggers", b"{}"),
]
"""A function, arguments of it, and another value of one of them."""


@pytest.mark.parametrize(("function", "arguments", "name", "other"), OTHERS)
def test_each_argument_changes_the_digest(
    function: Callable[..., bytes | str], arguments: dict[str, Any], name: str, other: object
) -> None:
    """Another value of any one argument gives another digest; equal values give an equal one."""
    digest = function(**arguments)

    assert digest == function(**arguments)
    assert digest != function(**{**arguments, name: other})


def test_the_order_of_bindings_does_not_count() -> None:
    """A version's digest is the same for its bindings in any order."""
    assert version_digest(**VERSION) == version_digest(**{**VERSION, "bindings": BINDINGS[::-1]})


def test_a_whole_percentage_is_the_same_as_a_number_with_a_point() -> None:
    """A percentage has one encoding, whether it came as an integer or with a decimal point."""
    whole = [(number, int(share), digest) for number, share, digest in SHARES]
    assert deployment_digest(**DEPLOYMENT) == deployment_digest(**{**DEPLOYMENT, "shares": whole})


def test_statements_of_different_kinds_differ() -> None:
    """Statements of different kinds about the same script have different digests."""
    made = [
        version_digest(**VERSION),
        deployment_digest(**DEPLOYMENT),
        triggers_digest(**TRIGGERS),
        binding_digest(**BINDING),
        content_digest(**CONTENT),
    ]
    assert len(made) == len(set(made))


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    """A number that eight bytes cannot hold raises OverflowError and is not cut off."""
    with pytest.raises(OverflowError):
        binding_digest(**{**BINDING, "since": number})
