"""The module cache: contents that the source does not have."""

import pytest
from tests.unit.delivery.cache.test_bundle_cache import KEY, version

from nightsafe.delivery.cache.module_cache import ModuleCache
from nightsafe.delivery.source.bundle_source import MemorySource
from nightsafe.errors import Code, NightsafeError


async def test_a_missing_module_is_named() -> None:
    """The problem that an operator reads names the module that cannot be fetched, and the source's reason."""
    with pytest.raises(
        NightsafeError, match=r"the module 'm\.js' cannot be fetched: the module does not exist"
    ) as caught:
        await ModuleCache(MemorySource("a", KEY)).contents_of(version())
    assert Code.UNAVAILABLE is caught.value.code
