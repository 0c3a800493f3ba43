"""Random histories of the whole API, compared with a model made of dictionaries."""

import re
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from tests.state_machine import check_machine
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import ACCOUNT, SCRIPTS, Answer, Api, File, form, script_at, secret_at, secrets_of
from tests.unit.api.tools.model import Expected, Model

from nightsafe.services.limits import Limits

MAX_VARIABLES = 3
MAX_OPERATIONS = 4
POOL = 5

SCRIPT_NAMES = st.sampled_from(["worker"] * 6 + ["my-script_1", "0", "Bad-Name"])
INDEX = st.integers(0, POOL - 1)
HELD_OR_NOT = st.sampled_from([*range(2 * POOL)])
ENCODINGS = st.sampled_from(["", "!$&'()*+,;=:@"])
KINDS = st.sampled_from(["secret_text", "secret_text", "raw", "jwk"])
KEEP = st.none() | st.lists(st.sampled_from(["secret_text", "secret_key", "plain_text", "json", "kv_namespace"]))
BINDING = st.tuples(
    st.sampled_from(["secret_text", "raw", "plain_text", "json", "kv_namespace", "inherit", "rename"]), INDEX, INDEX
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "compatibility_date": st.just("2026-01-01"),
        "compatibility_flags": st.just(["nodejs_compat"]),
        "tags": st.just(["production:yes"]),
        "logpush": st.booleans(),
        "placement": st.just({"mode": "smart"}),
    },
)
MODULES = st.sampled_from(
    [
        [("worker.js", b"export default {}")],
        [("worker.js", b"export default { fetch() {} }"), ("a\r\nb.js", b"\r\n--\0"), ("é.wasm", b"\0asm")],
    ]
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def secret_of(kind: str, name: str) -> dict[str, Any]:
    """Return a secret with a value of its own."""
    return values.text(name) if kind == "secret_text" else values.key(name, kind)


class Machine(RuleBasedStateMachine):
    """Requests of every kind, each with the one answer that the model allows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.api = Api(self.folder, Limits(max_variables=MAX_VARIABLES, max_operations=MAX_OPERATIONS))
        self.model = Model(MAX_VARIABLES, MAX_OPERATIONS)
        self.names: list[str] = []
        self.etags: dict[str, tuple[object, ...]] = {}

    def teardown(self) -> None:
        """Check that no file of the store holds a value."""
        self.api.close()
        held = [path.name for path in self.api.path.parent.iterdir() if values.holds_plant(path.read_bytes())]
        shutil.rmtree(self.folder)
        assert [] == held

    @initialize(names=st.lists(values.names(), min_size=POOL, max_size=POOL, unique=True))
    def begin(self, names: list[str]) -> None:
        """Choose the names of all secrets in this history, and make a script."""
        self.names = names
        self.upload("worker", {}, [("secret_text", 0, 0)], None, [("worker.js", b"export default {}")], False)

    def check(self, expected: Expected, answer: Answer) -> None:
        """Check that the answer is the expected one and holds no value."""
        assert not values.holds_plant(answer.body)
        assert expected.status == answer.status, answer.body[:500]
        assert expected.codes == answer.codes
        assert expected.result == answer.envelope["result"]

    def _name(self, script: str, at: int) -> str:
        """Return a name: an index past the pool is that of a name which the script has."""
        held = [*self.model.scripts[script].bindings] if script in self.model.scripts else []
        return self.names[at] if at < POOL else [*held, *self.names][at - POOL]

    @rule(script=SCRIPT_NAMES, kind=KINDS, at=HELD_OR_NOT)
    def put(self, script: str, kind: str, at: int) -> None:
        """PUT one secret."""
        secret = secret_of(kind, self._name(script, at))
        self.check(self.model.put(script, secret), self.api.put(script, secret))

    @rule(script=SCRIPT_NAMES, at=HELD_OR_NOT, safe=ENCODINGS)
    def delete(self, script: str, at: int, safe: str) -> None:
        """DELETE one secret."""
        name = self._name(script, at)
        self.check(self.model.delete(script, name), self.api.send("DELETE", secret_at(script, name, safe)))

    @rule(script=SCRIPT_NAMES, entries=st.dictionaries(HELD_OR_NOT, st.none() | KINDS, max_size=POOL))
    def patch(self, script: str, entries: dict[int, str | None]) -> None:
        """PATCH several secrets; the answer lists the script's secrets by name."""
        named = {self._name(script, at): kind for at, kind in entries.items()}
        body = {name: None if kind is None else secret_of(kind, name) for name, kind in named.items()}
        expected, answer = self.model.patch(script, body), self.api.patch(script, body)
        self.check(expected, answer)
        if answer.status == 200:
            assert list(expected.result) == list(answer.result)

    @rule(
        script=SCRIPT_NAMES,
        extra=SETTINGS,
        bindings=st.lists(BINDING, max_size=4, unique_by=lambda binding: binding[1]) | st.lists(BINDING, max_size=2),
        keep=KEEP,
        modules=MODULES,
        strict=st.booleans(),
    )
    def upload(  # noqa: PLR0913, PLR0917 - an upload has that many sides
        self,
        script: str,
        extra: dict[str, Any],
        bindings: list[tuple[str, int, int]],
        keep: list[str] | None,
        modules: list[tuple[str, bytes]],
        strict: bool,  # noqa: FBT001 - drawn
    ) -> None:
        """PUT a script, new or existing."""
        metadata = {
            "main_module": modules[0][0],
            "bindings": [self._binding(*binding) for binding in bindings],
            **extra,
        }
        if keep is not None:
            metadata["keep_bindings"] = keep
        existed = script in self.model.scripts
        expected = self.model.upload(script, metadata, modules, strict=strict)
        files = [File(name, body) for name, body in modules]
        answer = self.api.upload(script, metadata, *files, query="?bindings_inherit=strict" if strict else "")
        if expected is not None:
            self.check(expected, answer)
            return
        if not existed:
            self.model.scripts[script].tag = answer.result["tag"]
            self.model.scripts[script].created_on = answer.result["created_on"]
        version = self.api.run(self.api.store.versions(self.api.ref(script)))[0]
        made = {"deployment_id": version.id.hex(), "startup_time_ms": 0, "entry_point": modules[0][0]}
        assert self.model.script(script) | made == self._checked_times(answer.result)
        assert not values.holds_plant(answer.body)

    def _binding(self, kind: str, at: int, old: int) -> dict[str, Any]:
        """Return a binding as an upload has it."""
        name = self.names[at]
        if kind in {"secret_text", "raw"}:
            return secret_of(kind, name)
        members: dict[str, dict[str, Any]] = {
            "plain_text": {"text": f"shown {old}"},
            "json": {"json": {"shown": [old, None, 0.5]}},
            "kv_namespace": {"namespace_id": f"{old:032}"},
            "inherit": {},
            "rename": {"old_name": self.names[old], "version_id": "latest"},
        }
        return {"name": name, "type": "inherit" if kind == "rename" else kind, **members[kind]}

    def _checked_times(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Check a shown script's etag and times; return the rest."""
        rest = dict(shown)
        model = self.model.scripts[rest["id"]]
        code = (model.metadata["main_module"], *model.modules)
        assert code == self.etags.setdefault(rest.pop("etag"), code)
        assert len(self.etags) <= 2
        assert TIME.fullmatch(rest["created_on"])
        assert TIME.fullmatch(rest.pop("modified_on"))
        return rest

    @rule(script=SCRIPT_NAMES, seldom=st.integers(0, 7))
    def remove(self, script: str, seldom: int) -> None:
        """DELETE a script; a new one of that name gets another tag."""
        if seldom != 5:
            return
        self.check(self.model.remove(script), self.api.send("DELETE", script_at(script)))

    @rule(script=SCRIPT_NAMES, safe=ENCODINGS)
    def read(self, script: str, safe: str) -> None:
        """GET what the invariants do not read: all scripts, one script's code, and its secrets one by one."""
        self._list_scripts()
        self._content(script)
        self._read_one_by_one(script, safe)

    def _list_scripts(self) -> None:
        """GET every script, by name."""
        answer = self.api.send("GET", SCRIPTS)
        assert [self.model.script(name) for name in sorted(self.model.scripts)] == list(
            map(self._checked_times, answer.result)
        )

    def _content(self, script: str) -> None:
        """GET the code: modules come as a form, the entry point first."""
        answer = self.api.send("GET", script_at(script))
        model = self.model.scripts.get(script)
        if model is None:
            self.check(Expected(404, [10007]), answer)
        else:
            boundary = (answer.header(b"content-type") or b"").rpartition(b"=")[2].decode()
            assert form(*(File(name, body) for name, body in model.modules), boundary=boundary) == answer.body

    @rule(most=st.sampled_from([1, MAX_VARIABLES, MAX_VARIABLES]))
    def restart(self, most: int) -> None:
        """Close and reopen the store, with the same or a lower limit; nothing is lost."""
        self.api.restart(Limits(max_variables=most, max_operations=MAX_OPERATIONS))
        self.model.max_variables = most

    def _read_one_by_one(self, script: str, safe: str) -> None:
        """GET each secret, by the fast path and by the router."""
        for name in self.names:
            expected, target = self.model.get(script, name), secret_at(script, name, safe)
            self.check(expected, self.api.send("GET", target))
            self.check(expected, self.api.send("GET", target, to=self.api.router))

    @invariant()
    def reads_agree(self) -> None:
        """Lists and settings agree with the model."""
        for script in ("worker", "my-script_1", "0", "Bad-Name"):
            self.check(self.model.every(script), self.api.send("GET", secrets_of(script)))
            self.check(self.model.settings(script), self.api.send("GET", f"{script_at(script)}/settings"))

    @invariant()
    def each_write_made_one_version(self) -> None:
        """There are as many versions, deployments and audit entries as writes that changed something."""
        store = self.api.store
        for name, script in self.model.scripts.items():
            ref = self.api.ref(name)
            versions = self.api.run(store.versions(ref))
            assert script.triggers == [version.triggered_by for version in reversed(versions)]
            assert len(script.triggers) == len(self.api.run(store.deployments(ref)))
        created_account = 1
        entries = self.api.run(store.audit_entries(ACCOUNT, limit=10_000))
        assert created_account + self.model.writes == len(entries)


@pytest.mark.heavy
def test_the_api_agrees_with_a_model() -> None:
    """In any order of requests and restarts, each answer, version and log entry agrees with the model."""
    check_machine(Machine, most=80, steps=30)
