"""What workerd tells of scripts becomes events, and only so many of them in a second."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from nightsafe.delivery.cache.bundle_cache import Load
from nightsafe.delivery.reports.reports import Reports


class Clock:
    """Seconds that a test turns on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """What the time is."""
        return self.now


def told(reports: Reports, **members: Any) -> list[Any]:
    """What is logged of a report."""
    with capture_logs() as log:
        reports.told(json.dumps({"script": "one", "load": 1, **members}).encode())
    return list(log)


def lines(count: int) -> list[dict[str, object]]:
    """So many printed lines."""
    return [{"level": "log", "message": "x", "at": 0} for _ in range(count)]


def test_a_load_that_is_not_known() -> None:
    """Has no version; one that was loaded has it, though it was superseded."""
    reports = Reports(output=True)
    version = SimpleNamespace(id="v1", modules=())
    reports.loaded(cast("Load", SimpleNamespace(number=1, version=version)))

    assert ["v1", ""] == [told(reports, load=load, lines=lines(1))[0]["version"] for load in (1, 2)]


def test_loads_without_end() -> None:
    """Are not remembered without end."""
    reports = Reports()
    for number in range(10_000):
        reports.loaded(cast("Load", SimpleNamespace(number=number, version=SimpleNamespace(id="v", modules=()))))

    assert 4096 == len(reports._seen_loads)


def test_more_than_is_logged() -> None:
    """Is counted, with what was left out before, and the count is said once there may be events again."""
    clock = Clock()
    reports = Reports(clock, output=True)
    first = told(reports, lines=lines(2100), dropped=3, left_out=4)
    assert 1 + 2000 == len(first)
    clock.now += 1
    second = told(reports, lines=lines(1))

    assert {"event": "worker.output_dropped", "count": 7, "log_level": "warning"} == first[0]
    assert [("worker.output_dropped", 100), ("worker.output", None)] == [
        (one["event"], one.get("count")) for one in second
    ]


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"script":1}', b"[" * 60_000])
def test_what_is_no_report(body: bytes) -> None:
    """Is left out."""
    with capture_logs() as log:
        Reports().told(body)

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
def test_words_that_were_not_asked_for(members: dict[str, Any]) -> None:
    """Are logged by no way that they may come in; all of them are where they were asked for."""
    load = cast(
        "Load",
        SimpleNamespace(number=1, version=SimpleNamespace(id="v1", modules=(SimpleNamespace(name="index.js"),))),
    )
    silent, telling = Reports(), Reports(output=True)
    silent.loaded(load)
    telling.loaded(load)

    assert WORD not in str(told(silent, **members))
    assert told(telling, **members)


def test_what_is_told_without_words() -> None:
    """The kind of an error that there is, and places in modules, however these are called."""
    modules = tuple(SimpleNamespace(name=name) for name in ("./index.js", "/sub/a.mjs", "\u00fc.js"))
    reports = Reports()
    reports.loaded(cast("Load", SimpleNamespace(number=1, version=SimpleNamespace(id="v1", modules=modules))))
    stack = [
        "at f (a) b (index.js:1:2)",
        "at async Object.fetch (file:///bundle/sub/a.mjs:3:4)",
        "at file:///bundle/%C3%BC.js:5:6",
        "at other.js:7:8",
    ]
    [event] = told(reports, exceptions=[{"kind": "RangeError", "stack": stack}], request="0123456789abcdef-LOCAL")

    assert "RangeError" == event["kind"]
    assert "at index.js:1:2\nat sub/a.mjs:3:4\nat \u00fc.js:5:6" == event["stack"]
    assert "0123456789abcdef-LOCAL" == event["request"]
