"""Measures single steps without HTTP, for the record: the CPU time of the thread that runs them.

Run as `python -m benchmarks.micro DATA TOKEN SCRIPTS REPEATS`. Prints a list of figures for each name, in
microseconds, and for commits in commits a second.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop
from benchmarks.settings import ACCOUNT_ID, PER_SCRIPT, VALUE
from benchmarks.traffic import NAMES, SCRIPT, SECRET
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nightsafe.bindings.model import SecretText
from nightsafe.cli.data_directory.directory import DataDirectory
from nightsafe.identity.service import Authenticator, Principal
from nightsafe.secret_value import SecretValue
from nightsafe.services.caller import Caller, new_stamp, script_change
from nightsafe.services.secrets.seal import Safe
from nightsafe.store.changes import Change
from nightsafe.store.interface import Store
from nightsafe.store.script_edit import ScriptEdit
from nightsafe.store.scripts import Binding, ScriptRef
from nightsafe.webcrypto import check_key

_WRITERS = 64
_EACH = 50


def cost(step: Callable[[], object], count: int, repeats: int) -> list[float]:
    """Return the CPU microseconds of one step, for each repeat of `count` steps."""
    taken = []
    for _ in range(repeats):
        began = time.thread_time_ns()
        for _ in range(count):
            step()
        taken.append((time.thread_time_ns() - began) / count / 1000)
    return taken


def finish(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("the coroutine waited")


async def measure(directory: DataDirectory, token: str, scripts: int, repeats: int) -> dict[str, list[float]]:
    """Measure every step."""
    store, safe, draw = await directory.open_store(), directory.safe(), random.Random(scripts)  # noqa: S311 - no secret is drawn
    try:
        authenticator = Authenticator(store)
        principal = await authenticator.by_token(token.encode())
        ref, secret = _script(draw, scripts), NAMES[SECRET] % 0
        key = _rsa_key()
        return {
            "store.shown, random key": cost(lambda: finish(_shown(store, draw, scripts)), 2000, repeats),
            "authenticator.remembered": cost(lambda: authenticator.cached_principal(token.encode()), 2000, repeats),
            "seal and sign": cost(lambda: _seal(safe, ref, secret), 200, repeats),
            "check an RSA-2048 key": cost(lambda: _check(key), 20, repeats),
            "commits a second at 64": await _commits(store, safe, principal, scripts, repeats),
        }
    finally:
        await store.close()


def _script(draw: random.Random, scripts: int) -> ScriptRef:
    """Return a random script."""
    return ScriptRef(ACCOUNT_ID, NAMES[SCRIPT] % draw.randrange(scripts))


def _shown(store: Store, draw: random.Random, scripts: int) -> Coroutine[Any, Any, object]:
    """Read a random secret in the most frequent way."""
    return store.secret(_script(draw, scripts), NAMES[SECRET] % draw.randrange(PER_SCRIPT))


def _seal(safe: Safe, ref: ScriptRef, name: str) -> Binding:
    """Seal and sign one value."""
    return safe.seal(ref, SecretText(name, SecretValue(VALUE.encode())))


def _rsa_key() -> bytes:
    """Return a new RSA-2048 key as PKCS #8."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _check(key: bytes) -> None:
    """Do the checks of a key before it is sealed."""
    check_key("pkcs8", {"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"}, ("sign",), key)


async def _commits(store: Store, safe: Safe, principal: Principal, scripts: int, repeats: int) -> list[float]:
    """Return the changes a second that 64 callers can commit to the store, without sealing."""
    caller, draw = Caller(principal), random.Random(scripts)  # noqa: S311 - no secret is drawn
    bindings = [_seal(safe, ScriptRef(ACCOUNT_ID, ""), NAMES[SECRET] % index) for index in range(PER_SCRIPT)]

    def one() -> Change:
        """Return a change of one secret."""
        edit = ScriptEdit(ref=_script(draw, scripts), stamp=new_stamp(caller, "secret"), set=(draw.choice(bindings),))
        return script_change(caller, "secrets.put", edit)

    async def writer() -> None:
        """Commit changes, as one of the callers."""
        for _ in range(_EACH):
            await store.commit(one())

    rates = []
    for _ in range(repeats):
        began = time.perf_counter()
        await asyncio.gather(*(writer() for _ in range(_WRITERS)))
        rates.append(_WRITERS * _EACH / (time.perf_counter() - began))
    return rates


def main() -> None:
    """Measure, and print JSON."""
    data, token, scripts, repeats = sys.argv[1:]
    print(json.dumps(uvloop.run(measure(DataDirectory(Path(data)), token, int(scripts), int(repeats)))))


if __name__ == "__main__":
    main()
