"""State machines that compare a store with a model."""

import asyncio
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.engines.tools.engine import ENGINES
from tests.state_machine import check_machine

from nightsafe.store.interface import Store


class StoreMachine(RuleBasedStateMachine):
    """Opens an empty store, reopens it between other rules, and closes it."""

    engine_name: ClassVar[str]
    folder: ClassVar[Path]
    store: Store

    @initialize()
    def start(self) -> None:
        """Open an empty store."""
        self.runner = asyncio.Runner()
        self.engine = ENGINES[self.engine_name](Path(mkdtemp(dir=self.folder)))
        self.store = self.runner.run(self.engine.open())

    def teardown(self) -> None:
        """Close the store."""
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.close()

    @rule()
    def reopen(self) -> None:
        """Close the store and open it again."""
        self.runner.run(self.store.close())
        self.store = self.runner.run(self.engine.open())


def check_store_machine(machine: type[StoreMachine], engine_name: str, folder: Path, *, most: int) -> None:
    """Run a machine on an engine, with new data in a folder for each run."""
    own = type(machine.__name__, (machine,), {"engine_name": engine_name, "folder": folder})
    check_machine(own, most=most, steps=25)
