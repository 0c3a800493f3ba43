"""Random histories of versions, deployments and rollbacks, compared with a model."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tests.state_machine import check_machine
from tests.unit.api.tools import values
from tests.unit.api.tools.driver import JSON, Answer, Api, File, form, form_type, script_at, secret_at
from tests.unit.api.tools.model import Expected
from tests.unit.api.tools.version_model import Made, ScriptHistory, Served, Traffic, bindings_of

from nightsafe.services.limits import Limits

SCRIPT = "worker"
MERGE_PATCH = (b"content-type", b"application/merge-patch+json")
BETA = script_at(SCRIPT).replace("/workers/scripts/", "/workers/workers/")

NAMES = st.sampled_from(["A", "B", "C"])
SOME_NAMES = st.lists(NAMES, max_size=3, unique=True)
DATES = st.sampled_from(["2024-01-01", "2025-06-30", "2026-11-24"])
INDEX = st.integers(0, 1_000)
SHARES = st.sampled_from([(100,), (100,), (20, 80), (0.01, 99.99), (33.3, 66.7)])


class Machine(RuleBasedStateMachine):
    """Writes of each kind, each with the one answer that the model allows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.api = Api(self.folder)
        self.history: ScriptHistory | None = None
        self.ids: list[str] = []

    def teardown(self) -> None:
        """Close the store and delete its folder."""
        self.api.close()
        shutil.rmtree(self.folder)

    @property
    def existing(self) -> ScriptHistory:
        """The model of the script, where a rule needs the script to exist."""
        assert self.history is not None
        return self.history

    @initialize()
    def begin(self) -> None:
        """Make the script."""
        self.create("2024-01-01")

    @precondition(lambda self: self.history is None)
    @rule(date=DATES)
    def create(self, date: str) -> None:
        """PUT a script that does not exist; nothing of a deleted script of the same name comes back."""
        assert self._upload([], None, date).status == 200
        self.history, self.ids = ScriptHistory(date), []
        self._record_version()

    @precondition(lambda self: self.history is not None)
    @rule(put=NAMES)
    def put(self, put: str) -> None:
        """PUT one secret."""
        self._check(self.existing.write([put], [], deployed=True), self.api.put(SCRIPT, values.text(put)))

    @precondition(lambda self: self.history is not None)
    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        """DELETE one secret."""
        answer = self.api.send("DELETE", secret_at(SCRIPT, name))
        exists = name in self.existing.newest.secrets
        absent = None if exists or not self.existing.is_live else Expected(404, [10056])
        self._check(absent or self.existing.write([], [name], deployed=True), answer)

    @precondition(lambda self: self.history is not None)
    @rule(put=SOME_NAMES, gone=SOME_NAMES, deployed=st.booleans())
    def patch(self, put: list[str], gone: list[str], deployed: bool) -> None:  # noqa: FBT001 - drawn
        """PATCH several secrets, in a version that is deployed or in one that is not."""
        entries = dict.fromkeys(gone) | {name: values.text(name) for name in put}
        gone = [name for name in gone if name not in put]
        if deployed:
            if put or gone:
                self._check(self.existing.write(put, gone, deployed=True), self.api.patch(SCRIPT, entries))
            return
        body = {
            "env": {name: entry and {"type": "secret_text", "text": entry["text"]} for name, entry in entries.items()}
        }
        answer = self._json("PATCH", f"{BETA}/versions/latest", body, MERGE_PATCH)
        self._check(self.existing.write(put, gone, deployed=False), answer)

    @precondition(lambda self: self.history is not None)
    @rule(put=SOME_NAMES, inherits=st.none() | SOME_NAMES, date=DATES, deployed=st.booleans())
    def upload(self, put: list[str], inherits: list[str] | None, date: str, deployed: bool) -> None:  # noqa: FBT001 - drawn
        """Upload code, deployed or not; secrets stay unless an undeployed version lists the ones to keep."""
        keep = [*self.existing.newest.secrets] if inherits is None or deployed else inherits
        assert self._upload(put, inherits, date, deployed=deployed).status == 200
        self.existing.upload(put, keep, date, deployed=deployed)
        self._record_version()

    @precondition(lambda self: self.history is not None)
    @rule(date=DATES)
    def configure(self, date: str) -> None:
        """PATCH a setting of the version."""
        if date == self.existing.newest.date and self.existing.is_live:
            return
        body = form(
            File("settings", b'{"compatibility_date":"%b"}' % date.encode(), "application/json", as_file=False)
        )
        answer = self.api.send("PATCH", f"{script_at(SCRIPT)}/settings", body, [form_type()])
        self._check(self.existing.configure(date), answer)

    @precondition(lambda self: self.history is not None)
    @rule(shares=SHARES, first=INDEX, second=INDEX, force=st.booleans())
    def deploy(self, shares: tuple[float, ...], first: int, second: int, force: bool) -> None:  # noqa: FBT001 - drawn
        """Deploy newer versions, or older ones, which restores their secrets."""
        count = len(self.existing.versions)
        numbers = list(dict.fromkeys([first % count + 1, second % count + 1]))[: len(shares)]
        traffic: Traffic = tuple(zip(numbers, shares if len(numbers) == len(shares) else (100,), strict=True))
        versions = [{"version_id": self.ids[number - 1], "percentage": share} for number, share in traffic]
        target = f"{script_at(SCRIPT)}/deployments" + ("?force=true" if force else "")
        answer = self._json("POST", target, {"strategy": "percentage", "versions": versions})
        changed = self.existing.deploy(traffic, force=force)
        if changed:
            assert (400, [10220]) == answer.refusal
            assert answer.messages[0].endswith(f"The following secrets have changed: {', '.join(changed)}")
        else:
            assert self._served(self.existing.deployments[-1]) == _traffic(answer.result)

    @precondition(lambda self: self.history is not None)
    @rule(seldom=st.integers(0, 7))
    def remove(self, seldom: int) -> None:
        """DELETE the script."""
        if seldom == 5:
            assert self.api.send("DELETE", script_at(SCRIPT)).status == 200
            self.history = None

    @rule()
    def restart(self) -> None:
        """Close and reopen the store; nothing is lost."""
        self.api.restart(Limits())

    @invariant()
    def reads_agree(self) -> None:
        """Lists, single versions and secrets agree with the model."""
        if self.history is None:
            assert (404, [10007]) == self.api.send("GET", f"{script_at(SCRIPT)}/versions").refusal
            return
        items = self._list("versions", "items")
        assert self.ids == [item["id"] for item in reversed(items)]
        for item, made in zip(reversed(items), self.history.versions, strict=True):
            _check_version(item, made)
        deployments = self._list("deployments", "deployments")
        expected = [(self._served(served), served.trigger) for served in reversed(self.history.deployments)]
        assert expected == [(_traffic(shown), shown["annotations"]["workers/triggered_by"]) for shown in deployments]
        assert len({deployment["id"] for deployment in deployments}) == len(deployments)
        secrets = self.api.send("GET", f"{script_at(SCRIPT)}/secrets").result
        assert bindings_of(self.history.newest) == secrets

    @precondition(lambda self: self.history is not None)
    @rule(at=INDEX)
    def read_one(self, at: int) -> None:
        """GET one version; it has the bindings that it was made with."""
        number = at % len(self.ids)
        version = self.api.send("GET", f"{script_at(SCRIPT)}/versions/{self.ids[number]}").result
        made = self.existing.versions[number]
        _check_version(version, made)
        assert made.date == version["resources"]["script_runtime"]["compatibility_date"]

    def _check(self, refused: Expected | None, answer: Answer) -> None:
        """Check that the answer is the expected refusal, or a success that made the expected version."""
        if refused is not None:
            assert (refused.status, refused.codes) == answer.refusal
            return
        assert answer.status == 200, answer.body[:500]
        self._record_version()

    def _record_version(self) -> None:
        """Record the id of the version that was just made."""
        if len(self.ids) < len(self.existing.versions):
            self.ids.append(self._list("versions", "items", "?per_page=1")[0]["id"])

    def _upload(
        self, put: Sequence[str], inherits: Sequence[str] | None, date: str, *, deployed: bool = True
    ) -> Answer:
        """PUT the script, or POST a version of it."""
        bindings: list[dict[str, Any]] = [values.text(name) for name in put]
        metadata: dict[str, Any] = {"main_module": "worker.js", "compatibility_date": date, "bindings": bindings}
        if inherits is not None:
            bindings += [{"name": name, "type": "inherit"} for name in inherits if name not in put]
            metadata["keep_bindings"] = []
        if deployed:
            return self.api.upload(SCRIPT, metadata)
        part = File("metadata", _json(metadata), "application/json", as_file=False)
        return self.api.send("POST", f"{script_at(SCRIPT)}/versions", form(part, File("worker.js")), [form_type()])

    def _json(self, method: str, target: str, value: object, content_type: tuple[bytes, bytes] = JSON) -> Answer:
        """Send a JSON value."""
        return self.api.send(method, target, _json(value), [content_type])

    def _list(self, page: str, member: str, query: str = "?per_page=1000") -> list[dict[str, Any]]:
        """Return every item of a list."""
        items: list[dict[str, Any]] = self.api.send("GET", f"{script_at(SCRIPT)}/{page}{query}").result[member]
        return items

    def _served(self, deployment: Served) -> list[tuple[str, float]]:
        """Return a deployment's traffic, by version id."""
        return [(self.ids[number - 1], share) for number, share in deployment.traffic]


def _json(value: object) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value).encode()


def _traffic(deployment: dict[str, Any]) -> list[tuple[str, float]]:
    """Return the traffic of a shown deployment."""
    return [(version["version_id"], version["percentage"]) for version in deployment["versions"]]


def _check_version(shown: dict[str, Any], made: Made) -> None:
    """Check that the shown version is the one that was made."""
    assert made.trigger == shown["annotations"]["workers/triggered_by"]
    assert bindings_of(made) == shown["resources"]["bindings"]


@pytest.mark.heavy
def test_versions_deployments_and_rollbacks_agree_with_a_model() -> None:
    """In any order of writes, deployments and restarts, each answer and every list agree with the model."""
    check_machine(Machine, most=40, steps=30)
