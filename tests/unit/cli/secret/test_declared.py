"""The limits that the command line checks before it sends secrets."""

from nightsafe.bindings import parse
from nightsafe.cli.secret.sources import declared
from nightsafe.services.limits import Limits


def test_the_limits_are_those_of_the_server() -> None:
    """The command line refuses exactly what a server with default limits would refuse."""
    assert parse.MAX_VALUE_BYTES == declared.MAX_VALUE_BYTES
    assert parse.MAX_NAME_BYTES == declared.MAX_NAME_BYTES
    assert Limits().max_operations == declared.MAX_OPERATIONS
