"""Random histories on two engines at once: both give the same answers, and append the same entries to the log."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace
from tests.engines.scripts.test_approvals import approval
from tests.engines.scripts.test_history import BINDINGS, INHERITS, KINDS, LIMITS, NAMES, OBJECTS, SECRETS, STAMPS
from tests.engines.test_identities import TOKEN, USER
from tests.engines.test_sealed_values import resealing, retiring
from tests.engines.tools.answers import ACCOUNTS, KEYS, REFS, answer, answers, every_value, place_and_record
from tests.engines.tools.changes import (
    ACCOUNT,
    change,
    code,
    deploying,
    editing,
    entry,
    namespace,
    plain,
    removing,
    secret,
    upload,
)
from tests.engines.tools.collections import holding, making, new_collection, open_value, value
from tests.engines.tools.engine import Engine, PostgresEngine, SqliteEngine
from tests.postgres.databases import Databases
from tests.state_machine import check_machine

from nightsafe.store.bundles import StoredApproval
from nightsafe.store.changes import ArchivedEntries, Change
from nightsafe.store.collections import Item, Kind
from nightsafe.store.identities import Account, Membership
from nightsafe.store.interface import Store
from nightsafe.store.postgres.engine.address import parse
from nightsafe.store.postgres.engine.connection import connect as connect_to_server
from nightsafe.store.script_edit import BindingsUpdate, Inherit, SettingsUpdate, Stamp
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.store.sealed_values import Resealed
from nightsafe.store.sqlite.engine.connection import connect

SCRIPTS = st.sampled_from([*REFS, REFS[0], REFS[0], REFS[0]])
"""Most changes are to the same script, so that it gets a history."""
KINDS_HELD = st.sampled_from([Kind.PAGES_PROJECT, Kind.SECRETS_STORE, Kind.SCRIPT])
ITEMS = st.lists(
    st.builds(lambda make, name, place: make(name, place), st.sampled_from([value, open_value]), NAMES, NAMES),
    max_size=3,
    unique_by=lambda item: (item.environment, item.name),
)
REFERENCES = st.lists(
    st.builds(plain, NAMES, st.sampled_from(["service", "secrets_store_secret"]), st.sampled_from(["w", "x"])),
    max_size=2,
)
SETTINGS = st.none() | st.builds(
    lambda members, merge: SettingsUpdate(json.dumps(members).encode(), merge), OBJECTS, st.booleans()
)


class Twins(RuleBasedStateMachine):
    """Commits the same changes to two engines, and compares their answers after each."""

    folder: ClassVar[Path]
    databases: ClassVar[Databases]

    @initialize()
    def start(self) -> None:
        """Open two empty stores, whose logs have the same origin."""
        self.runner = asyncio.Runner()
        self.path = Path(mkdtemp(dir=self.folder))
        self.sqlite, self.postgres = SqliteEngine(self.path), PostgresEngine(self.databases, is_owner=True)
        self.engines: tuple[Engine, ...] = (self.sqlite, self.postgres)
        self.stores = [self.runner.run(engine.open()) for engine in self.engines]
        self.runner.run(self._share_origin())
        self.changed = True
        self.archived = 0
        self._both(namespace("ns"))
        self._both(change(None, Account(ACCOUNT, "Home", 1), USER))
        for _ in range(2):
            for ref in (REFS[0], REFS[2]):
                self._both(upload(secret("A"), secret("B", "secret_key"), plain("C", "service", "w"), ref=ref))

    def teardown(self) -> None:
        """Close both stores, and remove their data."""
        if hasattr(self, "stores"):
            for store, engine in zip(self.stores, self.engines, strict=True):
                self.runner.run(store.close())
                self.runner.run(engine.drop())
            self.runner.close()

    @rule(ref=SCRIPTS, new=SECRETS, drop=st.lists(NAMES, max_size=2), most=LIMITS, made_by=STAMPS)
    def set_and_drop(self, ref: ScriptRef, new: list[Binding], drop: list[str], most: int, made_by: Stamp) -> None:
        """Set and drop secrets."""
        self._both(
            editing(ref, list_secrets=True, stamp=made_by, set=tuple(new), drop=tuple(drop), max_variables=most)
        )

    @rule(
        ref=SCRIPTS,
        new=BINDINGS,
        references=REFERENCES,
        keep=st.lists(KINDS, max_size=3),
        inherits=INHERITS,
        strict=st.booleans(),
        body=st.sampled_from([None, b"one", b"two"]),
        settings=SETTINGS,
        made_by=STAMPS,
    )
    def upload(  # noqa: PLR0913 - a rule's arguments
        self,
        *,
        ref: ScriptRef,
        new: list[Binding],
        references: list[Binding],
        keep: list[str],
        inherits: list[Inherit],
        strict: bool,
        body: bytes | None,
        settings: SettingsUpdate | None,
        made_by: Stamp,
    ) -> None:
        """Update all bindings, with or without new code and settings."""
        update = BindingsUpdate(keep=frozenset(keep), inherits=tuple(inherits), strict=strict)
        self._both(
            editing(
                ref,
                list_secrets=True,
                stamp=made_by,
                set=(*new, *references),
                upload=None if body is None else code(body, b"shared"),
                bindings_update=update,
                settings=settings,
            )
        )

    @rule(ref=SCRIPTS, settings=SETTINGS, script=SETTINGS, triggers=st.none() | OBJECTS, made_by=STAMPS)
    def settle(
        self,
        ref: ScriptRef,
        settings: SettingsUpdate | None,
        script: SettingsUpdate | None,
        triggers: dict[str, Any] | None,
        made_by: Stamp,
    ) -> None:
        """Change the settings of every level."""
        given = None if triggers is None else json.dumps(triggers).encode()
        self._both(editing(ref, stamp=made_by, settings=settings, script_settings=script, triggers=given))

    @rule(ref=SCRIPTS, picks=st.lists(st.integers(0, 9), min_size=1, max_size=2), force=st.booleans())
    def deploy(self, *, ref: ScriptRef, picks: list[int], force: bool) -> None:
        """Deploy one or two of the existing versions, or one that does not exist."""
        versions = self.runner.run(self.stores[0].versions(ref))
        ids = list(dict.fromkeys(versions[pick % len(versions)].id for pick in picks if versions)) or [b"x" * 16]
        self._both(deploying(*((one, 100.0 / len(ids)) for one in ids), ref=ref, force=force))

    @rule(ref=SCRIPTS)
    def remove(self, ref: ScriptRef) -> None:
        """Remove a script."""
        self._both(removing(ref))

    @rule(ref=SCRIPTS, public=st.sampled_from([b"a", b"b"]), made_at=st.integers(1, 5))
    def approve(self, ref: ScriptRef, public: bytes, made_at: int) -> None:
        """Keep an approval of the newest version."""
        script, version = self.runner.run(self.stores[0].script(ref)), self.runner.run(self.stores[0].version(ref))
        if script is not None and version is not None:
            made = approval(public, made_at, b"code" * (1 + made_at % 2))
            if all(one.approval.made_at != made_at for one in self.runner.run(self.stores[0].approvals(ref))):
                self._both(replace(change(), approval=StoredApproval(script.id, version.id, made)))

    @rule(kind=KINDS_HELD, name=st.sampled_from(["main", "w"]), new=ITEMS)
    def make(self, kind: Kind, name: str, new: list[Item]) -> None:
        """Create a collection with items, or put items into a script's."""
        if kind is Kind.SCRIPT:
            self._both(holding(name, kind, put=tuple(new)))
        else:
            self._both(making(new_collection(name, kind), put=tuple(new)))

    @rule(
        kind=KINDS_HELD,
        name=st.sampled_from(["main", "w"]),
        new=ITEMS,
        drop=st.lists(st.tuples(NAMES, NAMES), max_size=2),
        body=st.none() | OBJECTS,
        gone=st.booleans(),
    )
    def hold(  # noqa: PLR0913 - a rule's arguments
        self,
        *,
        kind: Kind,
        name: str,
        new: list[Item],
        drop: list[tuple[str, str]],
        body: dict[str, Any] | None,
        gone: bool,
    ) -> None:
        """Edit or remove a collection."""
        if gone and kind is not Kind.SCRIPT:
            self._both(holding(name, kind, remove=True))
        else:
            given = None if body is None else json.dumps(body).encode()
            self._both(holding(name, kind, put=tuple(new), drop=tuple(drop), body=given))

    @rule(number=st.integers(0, 3), of_account=st.booleans(), issued=st.integers(1, 3), drop=st.integers(0, 4))
    def identities(self, *, number: int, of_account: bool, issued: int, drop: int) -> None:
        """Put a token and a membership, and drop a token."""
        token = replace(
            TOKEN,
            id=f"{number}" * 32,
            digest=bytes([number]) * 32,
            account_id=ACCOUNT if of_account else "",
            issued_on=issued,
        )
        put = change(None, token, Membership(ACCOUNTS[number % 2], USER.id, b"[1]", issued))
        self._both(replace(put, drop_tokens=(f"{drop}" * 32,)))

    @rule(account_id=st.sampled_from(ACCOUNTS), old=st.sampled_from(KEYS), most=st.integers(1, 4))
    def reseal(self, account_id: str, old: str, most: int) -> None:
        """Seal some values to the other key."""
        new = KEYS[KEYS[0] == old]
        secrets = [(os.urandom(200), os.urandom(32)) for _ in range(most)]
        audit = resealing(account_id=account_id)

        async def change_for(store: Store) -> Change:
            """Return the change with the marks of this engine."""
            values = sorted(await every_value(store, account_id, old), key=place_and_record)
            return replace(
                audit,
                reseal=tuple(
                    Resealed(mark=one.mark, before=one.sealed, sealed=sealed, key_id=new, digest=digest)
                    for one, (sealed, digest) in zip(values, secrets, strict=False)
                ),
            )

        self._both(change_for)

    @rule(key_id=st.sampled_from([*KEYS, "key-3"]), number=st.integers(1, 9))
    def retire(self, key_id: str, number: int) -> None:
        """Retire a key unless values are sealed to it, and keep a ring's number."""
        self._both(replace(retiring(key_id), ring_number=number))

    @rule(count=st.integers(1, 3))
    def archive(self, count: int) -> None:
        """Archive the next entries."""
        if self.archived + count < self.runner.run(self.stores[0].last_audit_number()):
            end = self.archived + count
            self._both(replace(change(audit=entry("archived", "")), archive=ArchivedEntries(self.archived, end)))
            self.archived = end

    @rule()
    def reopen(self) -> None:
        """Close both stores and open them again."""
        for store in self.stores:
            self.runner.run(store.close())
        self.stores = [self.runner.run(engine.open()) for engine in self.engines]
        self.changed = True

    @invariant()
    def answers_agree(self) -> None:
        """Compare the answers to every read."""
        if hasattr(self, "stores") and self.changed:
            first, second = (self.runner.run(answers(store)) for store in self.stores)
            assert first == second
            self.changed = False

    def _both(self, wanted: Change | Callable[[Store], Awaitable[Change]]) -> None:
        """Commit a change to both stores, and compare what they answer."""
        first, second = (self.runner.run(self._commit(store, wanted)) for store in self.stores)
        assert first == second
        self.changed = True

    @staticmethod
    async def _commit(store: Store, wanted: Change | Callable[[Store], Awaitable[Change]]) -> object:
        """Commit a change; return its outcome, with the number of resealed values instead of their marks."""
        made = wanted if isinstance(wanted, Change) else await wanted(store)
        outcome = await answer(partial(store.commit, made))
        return outcome if isinstance(outcome, list) else (len(outcome.resealed), replace(outcome, resealed=()))

    async def _share_origin(self) -> None:
        """Give the second log the origin of the first."""
        with closing(connect(self.sqlite._path, 1)) as first:
            [origin] = first.execute("SELECT origin FROM log_head").fetchone()
        second = await connect_to_server(parse(self.postgres._url))
        await second.execute("UPDATE log_head SET origin = $1", origin)
        await second.close()


@pytest.mark.heavy
def test_both_engines_answer_alike(databases: Databases, tmp_path: Path) -> None:
    """After any sequence of commits and reopenings, both engines answer every read alike, the checkpoint included."""
    own = type("Own", (Twins,), {"folder": tmp_path, "databases": databases})
    check_machine(own, most=20, steps=15)
