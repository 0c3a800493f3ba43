"""Random histories of commits, reads and reopenings, against a dictionary."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.engines.changes import ACCOUNT, OTHER_ACCOUNT, change, plain, removing, secret, stamp, upload
from tests.engines.engine import ENGINES, Engine
from tests.engines.refusals import refusal

from nightsafe.errors import Code
from nightsafe.store.interfaces import Store
from nightsafe.store.model import Binding, Inherit, Outcome, ScriptEdit, ScriptRef

COUNTED = {"secret_text", "secret_key", "plain_text", "json"}
NAMES = st.sampled_from(["A", "B", "C", "é"])
KINDS = st.sampled_from(["secret_text", "secret_key", "plain_text", "json", "kv_namespace"])
REFS = st.sampled_from(
    [ScriptRef(ACCOUNT, "w"), ScriptRef(ACCOUNT, "v"), ScriptRef(ACCOUNT, "w", "ns"), ScriptRef(OTHER_ACCOUNT, "w")]
)
LIMITS = st.sampled_from([2, 3, 128])


def made(name: str, kind: str) -> Binding:
    """A binding of a kind: sealed if it is a secret."""
    return secret(name, kind) if kind.startswith("secret") else plain(name, kind)


BINDINGS = st.lists(st.builds(made, NAMES, KINDS), max_size=4)
SECRETS = st.lists(st.builds(made, NAMES, st.sampled_from(["secret_text", "secret_key"])), max_size=3)
INHERITS = st.lists(st.builds(Inherit, NAMES, NAMES), max_size=3, unique_by=lambda inherit: inherit.name)

Live = dict[str, Binding]
Problems = list[tuple[Code, str]]


class Model:
    """A script as a dictionary would keep it: the bindings and the code of each version."""

    def __init__(self, script_id: str) -> None:
        self.id = script_id
        self.bindings: list[Live] = []
        self.code: list[tuple[bytes, ...]] = []

    @property
    def live(self) -> Live:
        """The newest bindings."""
        return self.bindings[-1] if self.bindings else {}

    def add(self, live: Live, code: tuple[bytes, ...] | None = None) -> None:
        """One more version."""
        self.bindings.append(live)
        self.code.append(self.code[-1] if code is None else code)


def ordered(live: Live) -> list[Binding]:
    """Bindings by name."""
    return [live[name] for name in sorted(live, key=str.encode)]


def secrets(live: Live) -> tuple[bytes, ...]:
    """`shown` of the secrets, by name."""
    return tuple(binding.shown for binding in ordered(live) if binding.sealed is not None)


def too_many(before: Live, after: Live, most: int) -> Problems:
    """What the limit says of a change."""
    old, new = (sum(binding.kind in COUNTED for binding in live.values()) for live in (before, after))
    return [(Code.TOO_MANY_BINDINGS, str(new))] if old < new > most else []


def edited(live: Live, new: list[Binding], drop: list[str], *, require: bool) -> tuple[Live, Problems]:
    """An edit of secrets."""
    drops = [name for name in dict.fromkeys(drop) if name not in live or live[name].sealed is None]
    taken = [name for name in {b.name: b for b in new} if name in live and live[name].sealed is None]
    if require and drops:
        return live, [(Code.BINDING_NOT_FOUND, name) for name in drops]
    if taken:
        return live, [(Code.BINDING_NAME_TAKEN, name) for name in taken]
    rest = {name: had for name, had in live.items() if name not in drop or name in drops}
    return {**rest, **{binding.name: binding for binding in new}}, []


def uploaded(
    live: Live, new: list[Binding], keep: list[str], inherits: list[Inherit], *, strict: bool
) -> tuple[Live, Problems]:
    """An upload's bindings."""
    bad = [(Code.INHERIT, one.name) for one in inherits if strict and one.old_name not in live]
    bad += [
        (Code.INHERIT_RENAMED, one.name)
        for one in inherits
        if one.old_name in live and one.name != one.old_name and live[one.old_name].sealed is not None
    ]
    if bad:
        return live, bad
    result = {name: had for name, had in live.items() if had.kind in keep}
    for one in inherits:
        if one.old_name in live:
            had = live[one.old_name]
            text = json.dumps({**json.loads(had.shown), "name": one.name}, separators=(",", ":"), ensure_ascii=False)
            same = one.name == one.old_name
            result[one.name] = had if same else Binding(one.name, had.kind, text.encode())
    return {**result, **{binding.name: binding for binding in new}}, []


class Histories(RuleBasedStateMachine):
    """Every rule does the same to the store and to the model, and compares."""

    make: Callable[[], Engine]

    @initialize()
    def start(self) -> None:
        """An empty store."""
        self.runner = asyncio.Runner()
        self.engine = type(self).make()
        self.store: Store = self.runner.run(self.engine.open())
        self.scripts: dict[ScriptRef, Model] = {}

    def teardown(self) -> None:
        """Close the store."""
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()

    @rule()
    def reopen(self) -> None:
        """Close and open."""
        self.runner.run(self.store.close())
        self.store = self.runner.run(self.engine.open())

    @rule(ref=REFS, new=SECRETS, drop=st.lists(NAMES, max_size=2), require=st.booleans(), most=LIMITS)
    def edit(self, ref: ScriptRef, new: list[Binding], drop: list[str], require: bool, most: int) -> None:  # noqa: FBT001
        """Set and drop secrets."""
        wanted = change(
            ScriptEdit(
                list_secrets=True,
                ref=ref,
                stamp=stamp(),
                set=tuple(new),
                drop=tuple(drop),
                require_drop=require,
                max_variables=most,
            )
        )
        model = self.scripts.get(ref)
        if model is None:
            assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == self.runner.run(refusal(self.store, wanted))
            return
        live, problems = edited(model.live, new, drop, require=require)
        problems = problems or too_many(model.live, live, most)
        if problems:
            assert problems == self.runner.run(refusal(self.store, wanted))
            return
        outcome = self.runner.run(self.store.commit(wanted))
        altered = bool(new) or live != model.live
        if altered:
            model.add(live)
        assert Outcome(len(model.bindings) if altered else 0, model.id, secrets(live)) == outcome

    @rule(
        ref=REFS,
        new=BINDINGS,
        keep=st.lists(KINDS, max_size=3),
        inherits=INHERITS,
        strict=st.booleans(),
        most=LIMITS,
        body=st.sampled_from([b"one", b"two"]),
    )
    def upload(  # noqa: PLR0913, PLR0917  # a rule's arguments
        self,
        ref: ScriptRef,
        new: list[Binding],
        keep: list[str],
        inherits: list[Inherit],
        strict: bool,  # noqa: FBT001
        most: int,
        body: bytes,
    ) -> None:
        """Upload code."""
        code = (body, b"shared")
        wanted = upload(
            *new, ref=ref, bodies=code, keep=tuple(keep), inherits=tuple(inherits), strict=strict, most=most
        )
        assert wanted.edit is not None
        assert wanted.edit.upload is not None
        model = self.scripts.get(ref, Model(wanted.edit.upload.script_id))
        live, problems = uploaded(model.live, new, keep, inherits, strict=strict)
        problems = problems or too_many(model.live, live, most)
        if problems:
            assert problems == self.runner.run(refusal(self.store, wanted))
            return
        outcome = self.runner.run(self.store.commit(wanted))
        self.scripts[ref] = model
        model.add(live, code)
        now = self.runner.run(self.store.script(ref))
        assert Outcome(len(model.bindings), model.id, secrets(live), now) == outcome

    @rule(ref=REFS)
    def remove(self, ref: ScriptRef) -> None:
        """Remove a script."""
        model = self.scripts.pop(ref, None)
        if model is None:
            assert [(Code.SCRIPT_NOT_FOUND, ref.name)] == self.runner.run(refusal(self.store, removing(ref)))
        else:
            assert Outcome(0, model.id) == self.runner.run(self.store.commit(removing(ref)))

    @invariant()
    def reads_agree(self) -> None:
        """Every read of every script says what the model says."""
        if hasattr(self, "store"):
            self.runner.run(self._compare())

    async def _compare(self) -> None:
        """The same, on the store's loop."""
        for account_id, namespace in {(ref.account_id, ref.namespace) for ref in self.scripts}:
            names = sorted(r.name for r in self.scripts if (r.account_id, r.namespace) == (account_id, namespace))
            assert names == [script.ref.name for script in await self.store.scripts(account_id, namespace)]
        for ref, model in self.scripts.items():
            assert ordered(model.live) == await self.store.bindings(ref)
            assert list(secrets(model.live)) == await self.store.secrets(ref)
            for name in ("A", "é"):
                had = model.live.get(name)
                expected = had.shown if had is not None and had.sealed is not None else None
                assert expected == await self.store.shown(ref, name)
            for number, (live, code) in enumerate(zip(model.bindings, model.code, strict=True), 1):
                assert ordered(live) == await self.store.bindings(ref, number)
                assert list(code) == [module.body for module in await self.store.modules(ref, number)]


def test_random_histories(engine_name: str, tmp_path: Path) -> None:
    """Whatever is committed in whatever order, the store answers as the model does, opened again or not."""

    class Machine(Histories):
        """The machine for one engine, each run with data of its own."""

        @staticmethod
        def make() -> Engine:
            """An engine with no data."""
            return ENGINES[engine_name](Path(mkdtemp(dir=tmp_path)))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
