"""Runs state machines: any order of their rules, as often as the effort of this run allows."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from tests.effort import examples


def check_machine(machine: type[RuleBasedStateMachine], *, most: int, steps: int) -> None:
    """Run a machine, with `most` sequences of up to so many steps in a thorough run."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(most),
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
