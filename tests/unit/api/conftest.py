"""Fixtures of the tests that drive the API; tests that call services directly are in `tests/unit/services`.

A test is here even if its subject is a service, as long as it sends requests to the API.
"""

from tests.unit.api.tools.fixtures import api, own_api

__all__ = ["api", "own_api"]
