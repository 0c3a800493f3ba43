"""Values and bytes that are nearly right: one or more places are changed."""

import copy
import json
from random import Random
from typing import Any, Final

from tests.unit.api.tools.mutate import places, replaced, without

_STRANGE: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 2**53, 2**63 - 1, "", " ", "*", "/", "..", "\0", "é", "💥", "a" * 300,
    "sentinel-0", "../sentinel-0", "secret_text", "secret_key", "inherit", "json", "latest", "__proto__",
    "@version", "@deployment", "@store", "@secret", "0" * 32, "1970-01-01T00:00:00Z", "%00",
    [], {}, [[]], {"": None}, [None] * 150,
)  # fmt: skip
_BRACKETS: Final = 400_000
_WIDE: Final = 3_000
_MANY: Final = 20_000


def altered(draw: Random, value: Any) -> Any:
    """Return a copy of a JSON value with up to three places changed; one time in three it is unchanged."""
    for _ in range(draw.choice((0, 0, 1, 1, 2, 3))):
        every = list(places(value))
        if not every:
            return draw.choice(_STRANGE)
        value = _changed(draw, value, draw.choice(every))
    return value


def _changed(draw: Random, value: Any, place: tuple[str | int, ...]) -> Any:
    """Return a copy with one place changed."""
    match draw.randrange(4):
        case 0:
            return without(value, place)
        case 1:
            return _with_more(draw, value, place)
        case _:
            return replaced(value, place, copy.deepcopy(draw.choice(_STRANGE)))


def _with_more(draw: Random, value: Any, place: tuple[str | int, ...]) -> Any:
    """Return a copy in which a place has its value twice, many times, or also under a nearly equal name."""
    whole = copy.deepcopy(value)
    inner = whole
    for member in place[:-1]:
        inner = inner[member]
    last = place[-1]
    if isinstance(inner, dict):
        name = str(last)
        inner[draw.choice((name.upper(), name[:-1], f"{name}s", f"{name}\0", name * 50))] = inner[last]
    else:
        inner.extend([inner[last]] * draw.choice((1, 1, 1, 100, _MANY)))
    return whole


def shaken(draw: Random, data: bytes) -> bytes:
    """Return bytes with pieces of them cut out, doubled or replaced."""
    for _ in range(draw.randint(1, 3)):
        at, size = draw.randint(0, len(data)), draw.randint(0, 12)
        piece = draw.choice((b"", draw.randbytes(size), data[at : at + size] * 2, b"\r\n", b"\0", b"\xff\xfe", b"--"))
        data = data[:at] + piece + data[at + size :]
    return data


def bomb(draw: Random) -> bytes:
    """Return JSON, or almost JSON, that is expensive to read."""
    match draw.randrange(6):
        case 0:
            return b"[" * _BRACKETS
        case 1:
            return b"[" * 31 + b"{}" + b"]" * 31
        case 2:
            return json.dumps(
                {f"member{number}": {"type": "secret_text", "text": "x"} for number in range(_WIDE)}
            ).encode()
        case 3:
            return b'{"a":' * 5_000 + b"1" + b"}" * 5_000
        case 4:
            return b'["' + rb"\ud800" * 20_000 + b'"]'
        case _:
            return b"[" + b"9" * 100_000 + b"]"
