"""Unexpected exceptions: a 500 without details, and a log without the exception's text."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog
from msgspec.structs import asdict
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import Answer, Api, script_at, secret_at, secrets_of

from nightsafe.errors import Code, NightsafeError
from nightsafe.services.scripts.scripts import Scripts
from nightsafe.services.secrets.secrets import Secrets

PLANTED = "planted-value-in-an-exception"


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises this error, caused by another error with the same text."""

    def fail(*_: object, **__: object) -> None:
        """Raise the error."""
        raise error from LookupError(PLANTED)

    return fail


ERRORS = [
    RuntimeError(PLANTED),
    ValueError(PLANTED.encode()),
    KeyError({"text": PLANTED}),
    UnicodeDecodeError("utf-8", PLANTED.encode(), 0, 1, PLANTED),
    RecursionError(PLANTED),
    MemoryError(PLANTED),
    OSError(28, PLANTED, PLANTED),
    AssertionError(PLANTED),
    ExceptionGroup(PLANTED, [ValueError(PLANTED)]),
]
CALLS = {
    "put": (Secrets, "put"),
    "patch": (Secrets, "patch"),
    "list": (Secrets, "list"),
    "get": (Secrets, "get"),
    "delete": (Secrets, "delete"),
    "upload": (Scripts, "upload"),
    "scripts": (Scripts, "iter_scripts"),
}


def ask(api: Api, call: str) -> Any:
    """Send the request that calls this use case."""
    requests: dict[str, Callable[[], Answer | None]] = {
        "put": lambda: api.json_anyhow("PUT", secrets_of("worker"), values.text("A")),
        "patch": lambda: api.json_anyhow("PATCH", f"{script_at('worker')}/secrets-bulk", {"secrets": {"A": None}}),
        "list": lambda: api.try_send("GET", secrets_of("worker")),
        "get": lambda: api.try_send("GET", secret_at("worker", "absent")),
        "delete": lambda: api.try_send("DELETE", secret_at("worker", "A")),
        "upload": lambda: api.try_send(
            "PUT", script_at("worker"), b"x", [(b"content-type", b"application/javascript")]
        ),
        "scripts": lambda: api.try_send("GET", script_at("")[:-1]),
    }
    return requests[call]()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_exception_answers_500_without_details(
    api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], call: str, error: Exception
) -> None:
    """The answer is 500 / 10002 with a ray ID; the log line has the ID, the exception's type and code lines."""
    owner, name = CALLS[call]
    monkeypatch.setattr(owner, name, raising(error))
    with structlog.testing.capture_logs() as log:
        answer = ask(api, call)

    assert (500, [10002]) == answer.refusal
    assert [("unforeseen", type(error).__name__, answer.header(b"cf-ray").decode())] == [
        (line["event"], line["error"], line["ray"]) for line in log
    ]
    assert all(":" in place for place in log[0]["lines"])
    output = repr((answer, log, capfd.readouterr()))
    assert not values.holds_plant(output.encode())


def test_the_default_log_omits_the_exceptions_text(
    api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The log as it is configured by default prints none of the exception's text."""
    monkeypatch.setattr(Secrets, "put", raising(RuntimeError(PLANTED)))
    api.json_anyhow("PUT", secrets_of("worker"), values.text("A"))
    printed = "".join(capfd.readouterr())

    assert "unforeseen" in printed
    assert not values.holds_plant(printed.encode())


@pytest.mark.parametrize("code", [Code.STORE, Code.CANNOT_OPEN])
def test_the_reason_of_a_store_failure_is_logged(api: Api, monkeypatch: pytest.MonkeyPatch, code: Code) -> None:
    """The operator's log has the reason; the caller only learns that the error is internal."""
    monkeypatch.setattr(Secrets, "list", raising(NightsafeError(code, "the disk is full")))
    with structlog.testing.capture_logs() as log:
        answer = api.try_send("GET", secrets_of("worker"))

    assert answer is not None
    assert (500, [10002]) == answer.refusal
    assert b"disk" not in answer.body
    assert [("failed", str(code), "the disk is full")] == [
        (line["event"], line["reason"], line["why"]) for line in log
    ]


def test_a_keyboard_interrupt_is_passed_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception such as KeyboardInterrupt is passed on to the server."""
    monkeypatch.setattr(Secrets, "list", raising(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        api.try_send("GET", secrets_of("worker"))


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_other_kinds_of_scope_are_ignored(api: Api, kind: str) -> None:
    """Nothing is sent for a scope other than HTTP."""

    async def never(*_: object) -> None:
        """Must not be called."""
        raise AssertionError

    api.run(api.app({"type": kind}, never, never))


@pytest.mark.parametrize(("path", "reads"), [("/livez", 0), ("/readyz", 1)])
def test_probes_need_no_credentials(api: Api, monkeypatch: pytest.MonkeyPatch, path: str, reads: int) -> None:
    """`/livez` always answers; `/readyz` checks the store, at most once a second."""
    checks = []

    async def check() -> None:
        """Record the check."""
        checks.append(1)

    monkeypatch.setattr(api.store, "check", check)
    monkeypatch.setattr(api.app._health, "_checked", float("-inf"))
    for method in ("GET", "HEAD", "GET"):
        probe = api.send(method, path, anonymous=True).result
        assert probe["status"] == "ok"
        assert probe.get("store") == (asdict(api.store.figures()) if reads else None)
    refused = api.send("POST", path, anonymous=True)

    assert (405, b"GET, HEAD") == (refused.status, refused.header(b"allow"))
    assert reads == len(checks)


def test_a_store_that_fails_is_not_ready(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store fails, `/readyz` answers 503 and `/livez` answers 200."""

    async def check() -> None:
        """Fail."""
        raise NightsafeError(Code.STORE, "the disk is full")

    monkeypatch.setattr(api.app._health, "_checked", float("-inf"))
    with monkeypatch.context() as patched:
        patched.setattr(api.store, "check", check)
        for _ in range(2):
            answer = api.try_send("GET", "/readyz", anonymous=True)
            assert answer is not None
            assert (503, [10002]) == answer.refusal
            assert b"disk" not in answer.body
        assert api.send("GET", "/livez", anonymous=True).status == 200
    assert api.send("GET", "/readyz", anonymous=True).status == 200
