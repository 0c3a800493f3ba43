"""The client's documentation page agrees with the client."""

import inspect
import re
from pathlib import Path

import pytest

import nightsafe.client
from nightsafe.client import Nightsafe
from nightsafe.client.settings import DEFAULT_BASE_URL, DEFAULT_MAX_RETRIES
from nightsafe.client.timeouts import DEFAULT_TIMEOUT

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in nightsafe.client.__all__ if name.endswith("Error")])
def test_every_error_is_documented(name: str) -> None:
    """Every error is documented by its name."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", list(inspect.signature(Nightsafe).parameters))
def test_every_setting_is_documented(name: str) -> None:
    """Every argument is in the table of settings."""
    assert re.search(rf"^\|.*`{name}`.*\|.*\|.*\|$", PAGE, re.MULTILINE)


def test_the_defaults_are_documented() -> None:
    """The documented server, retries and timeouts are the real ones."""
    assert f"`{DEFAULT_BASE_URL}`" in PAGE
    assert f"| `max_retries` | | {DEFAULT_MAX_RETRIES} |" in PAGE
    assert (5.0, 60.0) == (DEFAULT_TIMEOUT.connect, DEFAULT_TIMEOUT.read)


def test_every_method_is_documented() -> None:
    """Each row names exactly the methods of its resource."""
    client = Nightsafe(api_token="x")
    rows = re.findall(r"^\| `client\.([a-z_.]+)` \| (.+) \|$", PAGE, re.MULTILINE)

    assert 7 == len(rows)
    for path, methods in rows:
        if "as the secrets above" in methods:
            continue
        resource = client
        for name in path.split("."):
            resource = getattr(resource, name)
        named = {name for name in re.findall(r"`([a-z_.]+)`", methods) if "." not in name}
        own = {name for name, _ in inspect.getmembers(type(resource), inspect.isfunction) if not name.startswith("_")}
        assert named == own
