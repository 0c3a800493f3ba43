"""Random histories of collections, items and scripts, compared with a model."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from msgspec.structs import replace
from tests.engines.tools.changes import ACCOUNT, OTHER_ACCOUNT, removing, upload
from tests.engines.tools.collection_model import CollectionModel, Where
from tests.engines.tools.collections import KINDS, holding, making, new_collection, open_value, value
from tests.engines.tools.engine import Engine
from tests.engines.tools.histories import StoreMachine, check_store_machine
from tests.engines.tools.refusals import refusal

from nightsafe.errors import Code
from nightsafe.store.changes import Change, Outcome
from nightsafe.store.collections import Collection, Item, Kind, PutMode
from nightsafe.store.scripts import ScriptRef

ACCOUNTS = st.sampled_from([ACCOUNT, OTHER_ACCOUNT])
COLLECTIONS = st.sampled_from(["one", "two"])
SLOTS = st.sampled_from(["", "preview"])
NAMES = st.sampled_from(["A", "B", "é"])
IDS = st.sampled_from(["1" * 32, "2" * 32, "3" * 32, "4" * 32])
TIMES = st.integers(1, 9)
LIMITS = st.sampled_from([0, 0, 1, 3])
ITEMS = st.sampled_from([value, open_value]).flatmap(
    lambda make: st.builds(make, NAMES, SLOTS, id=IDS, created_on=TIMES, modified_on=TIMES)
)
BODIES = st.dictionaries(st.sampled_from(["a", "b"]), st.none() | st.integers(0, 1), max_size=2)
EDITS = st.fixed_dictionaries(
    {
        "put": st.lists(ITEMS, max_size=3).map(tuple),
        "put_mode": st.sampled_from([PutMode.ANY, PutMode.ANY, PutMode.NEW, PutMode.PRESENT]),
        "amend": st.booleans(),
        "drop": st.lists(st.tuples(SLOTS, NAMES), max_size=2).map(tuple),
        "require_drop": st.booleans(),
        "body": st.none() | BODIES.map(lambda body: json.dumps(body).encode()),
        "max_items": LIMITS,
    }
)
WHERE = st.tuples(ACCOUNTS, st.sampled_from([*KINDS, Kind.SCRIPT]), COLLECTIONS)
MADE = st.tuples(ACCOUNTS, st.sampled_from(KINDS), COLLECTIONS)


def decoded(collection: Collection | None) -> object:
    """Return a collection with its body decoded, because the model writes JSON differently."""
    return collection and (replace(collection, body=b""), json.loads(collection.body))


class CollectionHistories(StoreMachine):
    """Applies every rule to the store and to the model, and compares them."""

    @initialize()
    def start(self) -> None:
        """Open an empty store."""
        super().start()
        self.model = CollectionModel()
        self.log = {ACCOUNT: 0, OTHER_ACCOUNT: 0}

    @rule(where=MADE, edit=EDITS, max_collections=LIMITS)
    def make_collection(self, where: Where, edit: dict[str, Any], max_collections: int) -> None:
        """Create a collection, with every kind of change that an edit can make."""
        account_id, kind, name = where
        self._edit_both(making(new_collection(name, kind, account_id), max_collections=max_collections, **edit))

    @rule(where=WHERE, edit=EDITS)
    def edit_collection(self, where: Where, edit: dict[str, Any]) -> None:
        """Edit a collection."""
        account_id, kind, name = where
        self._edit_both(holding(name, kind, account_id, **edit))

    @rule(where=MADE)
    def remove_collection(self, where: Where) -> None:
        """Remove a collection."""
        account_id, kind, name = where
        self._edit_both(holding(name, kind, account_id, remove=True))

    @rule(account_id=ACCOUNTS, name=COLLECTIONS)
    def upload_outside(self, account_id: str, name: str) -> None:
        """Upload a script outside every namespace, which is a collection too."""
        wanted = upload(ref=ScriptRef(account_id, name))
        outcome = self.runner.run(self.store.commit(wanted))
        self.log[account_id] += 1
        if (account_id, Kind.SCRIPT, name) not in self.model.collections:
            collection = replace(
                new_collection(name, Kind.SCRIPT, account_id),
                id=outcome.script_id,
                created_on=wanted.at,
                modified_on=wanted.at,
            )
            self.model.collections[account_id, Kind.SCRIPT, name] = (collection, {})

    @rule(account_id=ACCOUNTS, namespace=COLLECTIONS, name=COLLECTIONS)
    def upload_inside(self, account_id: str, namespace: str, name: str) -> None:
        """Upload a script into a namespace."""
        wanted = upload(ref=ScriptRef(account_id, name, namespace))
        problems = self.runner.run(refusal(self.store, wanted))
        if (account_id, Kind.DISPATCH_NAMESPACE, namespace) not in self.model.collections:
            assert [(Code.NAMESPACE_NOT_FOUND, namespace)] == problems
            return
        assert [] == problems
        self.log[account_id] += 1
        self.model.inside.add((account_id, namespace, name))

    @rule(account_id=ACCOUNTS, namespace=COLLECTIONS | st.just(""), name=COLLECTIONS)
    def remove_script(self, account_id: str, namespace: str, name: str) -> None:
        """Remove a script, and the items that it holds as a collection."""
        problems = self.runner.run(refusal(self.store, removing(ScriptRef(account_id, name, namespace))))
        outside, inside = (account_id, Kind.SCRIPT, name), (account_id, namespace, name)
        if outside not in self.model.collections if namespace == "" else inside not in self.model.inside:
            assert [(Code.SCRIPT_NOT_FOUND, name)] == problems
            return
        assert [] == problems
        self.log[account_id] += 1
        if namespace == "":
            del self.model.collections[outside]
        else:
            self.model.inside.remove(inside)

    @invariant()
    def reads_agree(self) -> None:
        """Compare every read with the model."""
        if hasattr(self, "store"):
            self.runner.run(self._compare())

    def _edit_both(self, wanted: Change) -> None:
        """Apply one edit of a collection to the store and to the model."""
        edit = wanted.collection_edit
        assert edit is not None
        problems, altered = self.model.collection_edit(edit, wanted.at)
        if problems:
            assert problems == self.runner.run(refusal(self.store, wanted))
            return
        self.log[edit.account_id] += altered
        outcome = self.runner.run(self.store.commit(wanted))
        collection, items = self.model.collections.get((edit.account_id, edit.kind, edit.name)) or (None, {})
        assert decoded(collection) == decoded(outcome.collection)
        items_in_order: tuple[Item, ...] = tuple(items[place] for place in sorted(items))
        assert Outcome(collection=outcome.collection, items=items_in_order) == outcome

    async def _compare(self) -> None:
        """Compare every read with the model, on the store's loop."""
        for account_id in (ACCOUNT, OTHER_ACCOUNT):
            assert self.log[account_id] == len(await self.store.audit_entries(account_id, limit=1_000_000))
            for kind in (*KINDS, Kind.SCRIPT):
                names = sorted(key[2] for key in self.model.collections if key[:2] == (account_id, kind))
                listed = [collection.name for collection in await self.store.collections(account_id, kind)]
                assert ([] if kind is Kind.SCRIPT else names) == listed
                for name in ("one", "two"):
                    await self._compare_collection((account_id, kind, name))
            for namespace in ("one", "two"):
                count = self.model.count(account_id, namespace)
                assert count == await self.store.count_scripts(account_id, namespace)

    async def _compare_collection(self, where: Where) -> None:
        """Compare one collection, which may be absent."""
        collection, _ = self.model.collections.get(where) or (None, {})
        assert decoded(collection) == decoded(await self.store.collection(*where))
        if collection is not None:
            assert self.model.items(where) == await self.store.items(collection.account_id, collection.id)


@pytest.mark.heavy
def test_random_histories_of_collections(new_engine: Callable[[], Engine]) -> None:
    """After any sequence of changes and reopenings, the store answers as the model does."""
    check_store_machine(CollectionHistories, new_engine, most=40)
