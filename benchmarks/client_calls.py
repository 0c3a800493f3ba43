"""Calls one client repeatedly: run as `python -m benchmarks.client_calls WHICH PORT BATCHES`.

Prints, for each batch of calls over one kept connection, the wall-clock microseconds of one GET.
"""

import json
import sys
import time
from collections.abc import Callable

from benchmarks.settings import ACCOUNT_ID

_CALLS = 200
_WARM = 50
_PATH = f"/client/v4/accounts/{ACCOUNT_ID}/workers/scripts/script/secrets/mySecret"
_HEADERS = {"Accept": "application/json", "User-Agent": "bench", "Authorization": "Bearer token", "api-version": "1"}


def ours(port: int) -> Callable[[], object]:
    """Return a call of Nightsafe's client."""
    from nightsafe.client import Nightsafe  # noqa: PLC0415 - one client a process

    secrets = Nightsafe(api_token="token", base_url=f"http://127.0.0.1:{port}/client/v4").workers.scripts.secrets  # noqa: S106
    return lambda: secrets.get("mySecret", account_id=ACCOUNT_ID, script_name="script")


def under_ours(port: int) -> Callable[[], object]:
    """Return a call of the HTTP library under it, used as cheaply as possible, that also reads the JSON."""
    import httpcore  # noqa: PLC0415 - the same

    pool = httpcore.ConnectionPool()
    headers = [(b"Host", b"127.0.0.1:%d" % port), *((n.encode(), v.encode()) for n, v in _HEADERS.items())]
    timeout = {"connect": 5.0, "read": 60.0, "write": 60.0, "pool": 60.0}

    def get() -> object:
        """Send one request."""
        url = httpcore.URL(scheme=b"http", host=b"127.0.0.1", port=port, target=_PATH.encode())
        response = pool.handle_request(httpcore.Request("GET", url, headers=headers, extensions={"timeout": timeout}))
        content = response.read()
        response.close()
        return json.loads(content)["result"]

    return get


def official(port: int) -> Callable[[], object]:
    """Return a call of the official SDK."""
    from cloudflare import Cloudflare  # noqa: PLC0415 - the same

    secrets = Cloudflare(api_token="token", base_url=f"http://127.0.0.1:{port}/client/v4").workers.scripts.secrets  # noqa: S106
    return lambda: secrets.get("mySecret", account_id=ACCOUNT_ID, script_name="script")


def under_official(port: int) -> Callable[[], object]:
    """Return a call of the HTTP library under the SDK."""
    import httpx  # noqa: PLC0415 - the same

    client, url = httpx.Client(), f"http://127.0.0.1:{port}{_PATH}"
    return lambda: client.get(url, headers=_HEADERS).json()["result"]


CLIENTS = {made.__name__: made for made in (ours, under_ours, official, under_official)}


def main() -> None:
    """Measure, and print JSON."""
    which, port, batches = sys.argv[1:]
    call = CLIENTS[which](int(port))
    for _ in range(_WARM):
        call()
    taken = []
    for _ in range(int(batches)):
        began = time.perf_counter()
        for _ in range(_CALLS):
            call()
        taken.append((time.perf_counter() - began) / _CALLS * 1e6)
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
