"""Random histories of commits, reads and reopenings, compared with a model."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from msgspec.structs import replace
from tests.engines.tools.changes import (
    ACCOUNT,
    OTHER_ACCOUNT,
    code,
    deploying,
    editing,
    namespace,
    removing,
    stamp,
)
from tests.engines.tools.engine import Engine
from tests.engines.tools.histories import StoreMachine, check_store_machine
from tests.engines.tools.refusals import refusal
from tests.engines.tools.script_model import (
    Live,
    Problems,
    ScriptModel,
    Shares,
    VersionModel,
    binding_of,
    edited,
    ordered,
    rebound,
    secrets,
    settings_after,
    too_many,
)
from tests.engines.tools.stored import modules_of

from nightsafe.errors import Code
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.script_edit import BindingsUpdate, Inherit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Binding, ScriptRef

NAMES = st.sampled_from(["A", "B", "C", "é"])
KINDS = st.sampled_from(["secret_text", "secret_key", "plain_text", "json", "kv_namespace"])
REFS = st.sampled_from(
    [ScriptRef(ACCOUNT, "w"), ScriptRef(ACCOUNT, "v"), ScriptRef(ACCOUNT, "w", "ns"), ScriptRef(OTHER_ACCOUNT, "w")]
)
LIMITS = st.sampled_from([2, 3, 128])
BINDINGS = st.lists(st.builds(binding_of, NAMES, KINDS), max_size=4)
SECRETS = st.lists(st.builds(binding_of, NAMES, st.sampled_from(["secret_text", "secret_key"])), max_size=3)
INHERITS = st.lists(st.builds(Inherit, NAMES, NAMES), max_size=3, unique_by=lambda inherit: inherit.name)
OBJECTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, 1, {"x": None}]), max_size=3)
STAMPS = st.builds(lambda *, deployed: stamp("made", deployed=deployed), deployed=st.booleans())
ADDED = st.none() | st.tuples(OBJECTS, st.booleans())
"""A change of settings: the members, and whether to merge them."""
PICKS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.01, 50.0, 99.99])), min_size=1, max_size=2)


def settings_change(added: tuple[dict[str, Any], bool] | None) -> SettingsUpdate | None:
    """Return a change of settings as the store takes it."""
    return None if added is None else SettingsUpdate(json.dumps(added[0]).encode(), added[1])


def settings_with(old: dict[str, Any], added: tuple[dict[str, Any], bool] | None) -> dict[str, Any]:
    """Return the settings after a change."""
    return old if added is None else settings_after(old, added[0], merge=added[1])


class Histories(StoreMachine):
    """Applies every rule to the store and to the model, and compares them."""

    @initialize()
    def start(self) -> None:
        """Open a store that holds only a dispatch namespace."""
        super().start()
        self.runner.run(self.store.commit(namespace("ns")))
        self.scripts: dict[ScriptRef, ScriptModel] = {}

    @rule(
        ref=REFS,
        new=SECRETS,
        drop=st.lists(NAMES, max_size=2),
        require=st.booleans(),
        most=LIMITS,
        live=st.booleans(),
        made_by=STAMPS,
    )
    def edit(  # noqa: PLR0913, PLR0917  # a rule's arguments
        self,
        ref: ScriptRef,
        new: list[Binding],
        drop: list[str],
        require: bool,  # noqa: FBT001
        most: int,
        live: bool,  # noqa: FBT001
        made_by: Stamp,
    ) -> None:
        """Set and drop secrets."""
        must_be_live = Code.SECRET_NOT_LIVE if live else None
        wanted = editing(
            ref,
            list_secrets=True,
            stamp=made_by,
            set=tuple(new),
            drop=tuple(drop),
            require_drop=require,
            max_variables=most,
            must_be_live=must_be_live,
        )
        model = self.scripts.get(ref)
        if model is None:
            self._refused(wanted, [(Code.SCRIPT_NOT_FOUND, ref.name)])
            return
        now, problems = edited(model.live, new, drop, require=require)
        problems = problems or too_many(model.live, now, most)
        if live and model.alone != len(model.versions):
            problems = [(Code.SECRET_NOT_LIVE, ref.name)]
        if problems:
            self._refused(wanted, problems)
            return
        outcome = self.runner.run(self.store.commit(wanted))
        altered = bool(new) or now != model.live
        if altered:
            self._add(model, made_by, now)
        assert Outcome(len(model.versions) if altered else 0, model.id, secrets(now)) == outcome

    @rule(
        ref=REFS,
        new=BINDINGS,
        keep=st.lists(KINDS, max_size=3),
        inherits=INHERITS,
        strict=st.booleans(),
        most=LIMITS,
        body=st.sampled_from([None, b"one", b"two"]),
        added=ADDED,
        made_by=STAMPS,
    )
    def put_together(  # noqa: PLR0913, PLR0917  # a rule's arguments
        self,
        ref: ScriptRef,
        new: list[Binding],
        keep: list[str],
        inherits: list[Inherit],
        strict: bool,  # noqa: FBT001
        most: int,
        body: bytes | None,
        added: tuple[dict[str, Any], bool] | None,
        made_by: Stamp,
    ) -> None:
        """Update all bindings, with or without new code and settings."""
        files = () if body is None else (body, b"shared")
        upload = code(*files) if files else None
        wanted = editing(
            ref,
            list_secrets=True,
            stamp=made_by,
            set=tuple(new),
            upload=upload,
            bindings_update=BindingsUpdate(keep=frozenset(keep), inherits=tuple(inherits), strict=strict),
            settings=settings_change(added),
            max_variables=most,
        )
        known = self.scripts.get(ref)
        if known is None and upload is None:
            self._refused(wanted, [(Code.SCRIPT_NOT_FOUND, ref.name)])
            return
        model = known or ScriptModel(upload.script_id if upload else "")
        now, problems = rebound(model.live, new, keep, inherits, strict=strict)
        problems = problems or too_many(model.live, now, most)
        if problems:
            self._refused(wanted, problems)
            return
        kept = settings_with(model.settings, added)
        sealed = any(binding.sealed is not None for binding in {binding.name: binding for binding in new}.values())
        altered = bool(files) or sealed or now != model.live or kept != model.settings
        if altered:
            self._add(model, made_by, now, files, kept)
        self.scripts[ref] = model
        outcome = self._committed(ref, wanted)
        assert (len(model.versions) if altered else 0, secrets(now)) == (outcome.version, outcome.secrets)

    @rule(ref=REFS, added=ADDED, script=ADDED, triggers=st.none() | OBJECTS, always=st.booleans(), made_by=STAMPS)
    def settle(  # noqa: PLR0913, PLR0917  # a rule's arguments
        self,
        ref: ScriptRef,
        added: tuple[dict[str, Any], bool] | None,
        script: tuple[dict[str, Any], bool] | None,
        triggers: dict[str, Any] | None,
        always: bool,  # noqa: FBT001
        made_by: Stamp,
    ) -> None:
        """Change the settings of every level."""
        wanted = editing(
            ref,
            stamp=made_by,
            settings=settings_change(added),
            script_settings=settings_change(script),
            triggers=None if triggers is None else json.dumps(triggers).encode(),
            always=always,
        )
        model = self.scripts.get(ref)
        if model is None:
            self._refused(wanted, [(Code.SCRIPT_NOT_FOUND, ref.name)])
            return
        kept = settings_with(model.settings, added)
        altered = always or kept != model.settings
        if altered:
            self._add(model, made_by, model.live, (), kept)
        model.script_settings = settings_with(model.script_settings, script)
        model.triggers = settings_with(model.triggers, None if triggers is None else (triggers, True))
        if always or (added, script, triggers) != (None, None, None):
            assert (len(model.versions) if altered else 0) == self._committed(ref, wanted).version
        else:
            assert Outcome(0, model.id) == self.runner.run(self.store.commit(wanted))

    @rule(ref=REFS, picks=PICKS, force=st.booleans())
    def deploy(self, ref: ScriptRef, picks: list[tuple[int, float]], force: bool) -> None:  # noqa: FBT001
        """Deploy one or two of the existing versions."""
        model = self.scripts.get(ref)
        if model is None:
            self._refused(deploying((b"x" * 16, 100.0), ref=ref), [(Code.SCRIPT_NOT_FOUND, ref.name)])
            return
        numbers = {index % len(model.versions) + 1: share for index, share in picks}
        shares: Shares = tuple(numbers.items())
        versions = ((model.versions[number - 1].id, share) for number, share in shares)
        wanted = deploying(*versions, ref=ref, force=force)
        problems = model.deploy(shares, force=force)
        if problems:
            self._refused(wanted, problems)
            return
        outcome = self._committed(ref, wanted)
        assert [outcome.deployment] == self.runner.run(self.store.deployments(ref, limit=1))

    @rule(ref=REFS)
    def remove(self, ref: ScriptRef) -> None:
        """Remove a script."""
        model = self.scripts.pop(ref, None)
        if model is None:
            self._refused(removing(ref), [(Code.SCRIPT_NOT_FOUND, ref.name)])
        else:
            assert Outcome(0, model.id) == self.runner.run(self.store.commit(removing(ref)))

    @invariant()
    def reads_agree(self) -> None:
        """Compare every read of every script with the model."""
        if hasattr(self, "store"):
            self.runner.run(self._compare())

    @staticmethod
    def _add(
        model: ScriptModel,
        made_by: Stamp,
        live: Live,
        files: tuple[bytes, ...] = (),
        kept: dict[str, Any] | None = None,
    ) -> None:
        """Add a version to the model; code and settings that are not given stay as before."""
        version = VersionModel(
            made_by.version_id,
            live,
            files or model.versions[-1].code,
            model.settings if kept is None else kept,
        )
        model.add(version, made_by.triggered_by, deployed=bool(made_by.deployment_id))

    def _refused(self, wanted: Change, problems: Problems) -> None:
        """Check that the store refuses the change with the model's problems."""
        assert problems == self.runner.run(refusal(self.store, wanted))

    def _committed(self, ref: ScriptRef, wanted: Change) -> Outcome:
        """Commit; check that the outcome holds the script and its newest version as reads return them."""
        outcome = self.runner.run(self.store.commit(wanted))
        script, newest = self.runner.run(self.store.script(ref)), self.runner.run(self.store.version(ref))
        assert self.scripts[ref].id == outcome.script_id
        assert replace(outcome, script=script, newest=newest) == outcome
        assert script is not None
        return outcome

    async def _compare(self) -> None:
        """Compare the lists, then each script."""
        for account_id, where in {(ref.account_id, ref.namespace) for ref in self.scripts}:
            names = sorted(r.name for r in self.scripts if (r.account_id, r.namespace) == (account_id, where))
            assert names == [script.ref.name for script in await self.store.scripts(account_id, where)]
            assert len(names) == await self.store.count_scripts(account_id, where)
        for ref, model in self.scripts.items():
            await self._compare_script(ref, model)
            await self._compare_versions(ref, model)

    async def _compare_script(self, ref: ScriptRef, model: ScriptModel) -> None:
        """Compare the reads of one script."""
        script = await self.store.script(ref)
        assert script is not None
        assert (model.id, len(model.versions), model.alone) == (script.id, script.version, script.live_version)
        texts = (script.settings, script.script_settings, script.triggers)
        assert [model.settings, model.script_settings, model.triggers] == [json.loads(text) for text in texts]
        assert ordered(model.live) == await self.store.bindings(ref)
        assert list(secrets(model.live)) == await self.store.secrets(ref)
        for name in ("A", "é"):
            had = model.live.get(name)
            expected = had.shown if had is not None and had.sealed is not None else None
            assert expected == await self.store.secret(ref, name)

    async def _compare_versions(self, ref: ScriptRef, model: ScriptModel) -> None:
        """Compare the reads of a script's versions and deployments."""
        for number, had in enumerate(model.versions, 1):
            version = await self.store.version(ref, had.id)
            assert version is not None
            assert (number, had.settings) == (version.number, json.loads(version.settings))
            assert ordered(had.bindings) == await self.store.bindings(ref, number)
            assert list(had.code) == [module.body for module in await modules_of(self.store, ref, number)]
        deployments = await self.store.deployments(ref)
        numbers = {version.id: number for number, version in enumerate(model.versions, 1)}
        found = [
            (d.triggered_by, tuple((numbers[version_id], share) for version_id, share in d.versions))
            for d in deployments
        ]
        assert model.deployments[::-1] == found
        assert len(model.deployments) == await self.store.count_deployments(ref)


@pytest.mark.heavy
def test_random_histories(new_engine: Callable[[], Engine]) -> None:
    """After any sequence of commits and reopenings, the store answers as the model does."""
    check_store_machine(Histories, new_engine, most=60)
