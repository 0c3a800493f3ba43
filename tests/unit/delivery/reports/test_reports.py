"""Reports of workerd: they become log events, up to a number of them in a second."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from tests.unit.delivery.tools.clock import Clock

from nightsafe.delivery.cache.bundle_cache import Load
from nightsafe.delivery.reports.reports import Reports


def logged(reports: Reports, **members: Any) -> list[Any]:
    """Return what is logged of a report."""
    with capture_logs() as log:
        reports.log_report(json.dumps({"script": "one", "load": 1, **members}).encode())
    return list(log)


def lines(count: int) -> list[dict[str, object]]:
    """Return this many printed lines."""
    return [{"level": "log", "message": "x", "at": 0} for _ in range(count)]


def test_a_report_of_an_unknown_load_has_no_version() -> None:
    """A report of an unknown load has no version; one of a superseded load has its version."""
    reports = Reports(output=True)
    version = SimpleNamespace(id="v1", modules=())
    reports.remember_load(cast("Load", SimpleNamespace(number=1, version=version)))

    assert ["v1", ""] == [logged(reports, load=load, lines=lines(1))[0]["version"] for load in (1, 2)]


def test_the_number_of_remembered_loads_is_limited() -> None:
    """At most 4096 loads are remembered."""
    reports = Reports()
    for number in range(10_000):
        reports.remember_load(
            cast("Load", SimpleNamespace(number=number, version=SimpleNamespace(id="v", modules=())))
        )

    assert 4096 == len(reports._load_facts)


def test_events_past_the_limit_are_counted() -> None:
    """Events past the limit are counted, and the count is logged once events are permitted again."""
    clock = Clock()
    reports = Reports(clock, output=True)
    first = logged(reports, lines=lines(2100), dropped=3, left_out=4)
    assert 1 + 2000 == len(first)
    clock.now += 1
    second = logged(reports, lines=lines(1))

    assert {"event": "worker.output_dropped", "count": 7, "log_level": "warning"} == first[0]
    assert [("worker.output_dropped", 100), ("worker.output", None)] == [
        (event["event"], event.get("count")) for event in second
    ]


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"script":1}', b"[" * 60_000])
def test_a_body_that_is_not_a_report_is_ignored(body: bytes) -> None:
    """A body that is not a report is ignored."""
    with capture_logs() as log:
        Reports().log_report(body)

    assert [] == log


WORD = "hushed4711"


@pytest.mark.parametrize(
    "members",
    [
        {"exceptions": [{"kind": WORD}]},
        {"exceptions": [{"kind": "Error", "message": WORD}]},
        {
            "exceptions": [
                {"kind": "Error", "stack": [f"at {WORD} (index.js:1:2)", f"at {WORD}:1:2", f"at {WORD}.js:1:2"]}
            ]
        },
        {
            "exceptions": [
                {"kind": "Error", "stack": [f"at f (index.js:1:2) {WORD}", f"at index.js:1:2 ({WORD}:1:2)"]}
            ]
        },
        {"exceptions": [{"kind": "Error", "stack": [f"at {WORD}/index.js:1:2", f"at f ({WORD}/index.js:1:2)"]}]},
        {"exceptions": [{"kind": "Error"}], "request": WORD},
        {"lines": [{"level": "log", "message": WORD, "at": 0}]},
        {"refused": f"{WORD}.example:9", "reason": "it is private"},
        {"unanswered": f"{WORD}.localhost"},
        {"refused": "x", "request": f"{'0' * 16}-LOCAL {WORD}", "truncated": True},
    ],
)
def test_scripts_texts_are_logged_only_with_output(members: dict[str, Any]) -> None:
    """Without `output` no text of a script is logged from any member; with `output` all of it is."""
    load = cast(
        "Load",
        SimpleNamespace(number=1, version=SimpleNamespace(id="v1", modules=(SimpleNamespace(name="index.js"),))),
    )
    silent, telling = Reports(), Reports(output=True)
    silent.remember_load(load)
    telling.remember_load(load)

    assert WORD not in str(logged(silent, **members))
    assert logged(telling, **members)


def test_error_kinds_and_places_are_always_logged() -> None:
    """Without `output` an error's kind and its places in modules are still logged."""
    modules = tuple(SimpleNamespace(name=name) for name in ("./index.js", "/sub/a.mjs", "\u00fc.js"))
    reports = Reports()
    reports.remember_load(cast("Load", SimpleNamespace(number=1, version=SimpleNamespace(id="v1", modules=modules))))
    stack = [
        "at f (a) b (index.js:1:2)",
        "at async Object.fetch (file:///bundle/sub/a.mjs:3:4)",
        "at file:///bundle/%C3%BC.js:5:6",
        "at other.js:7:8",
    ]
    [event] = logged(reports, exceptions=[{"kind": "RangeError", "stack": stack}], request="0123456789abcdef-LOCAL")

    assert "RangeError" == event["kind"]
    assert "at index.js:1:2\nat sub/a.mjs:3:4\nat \u00fc.js:5:6" == event["stack"]
    assert "0123456789abcdef-LOCAL" == event["request"]
