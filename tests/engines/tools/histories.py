"""State machines that compare a store with a model."""

import asyncio
from collections.abc import Callable
from typing import ClassVar

from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.engines.tools.engine import Engine
from tests.state_machine import check_machine

from nightsafe.store.interface import Store


class StoreMachine(RuleBasedStateMachine):
    """Opens an empty store, reopens it between other rules, and closes it."""

    engines: ClassVar[list[Callable[[], Engine]]]
    store: Store

    @initialize()
    def start(self) -> None:
        """Open an empty store."""
        self.runner = asyncio.Runner()
        self.engine = self.engines[0]()
        self.store = self.runner.run(self.engine.open())

    def teardown(self) -> None:
        """Close the store."""
        if hasattr(self, "store"):
            self.runner.run(self.store.close())
            self.runner.run(self.engine.drop())
            self.runner.close()

    @rule()
    def reopen(self) -> None:
        """Close the store and open it again."""
        self.runner.run(self.store.close())
        self.store = self.runner.run(self.engine.open())


def check_store_machine(machine: type[StoreMachine], new_engine: Callable[[], Engine], *, most: int) -> None:
    """Run a machine on an engine, with a new one for each run."""
    own = type(machine.__name__, (machine,), {"engines": [new_engine]})
    check_machine(own, most=most, steps=25)
