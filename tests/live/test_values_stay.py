"""Values pass through the API's process sealed, and are opened only in the delivery process."""

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

from tests.clients.wire.talk import Wire
from tests.live.tools.running import HELLO, Deliver, Run, files_in, memory_of, secret, upload
from tests.server import Safe, Server, run


def forms(value: str) -> Iterator[bytes]:
    """Yield the forms in which a value might be written down."""
    raw = value.encode()
    yield from (
        raw,
        raw.hex().encode(),
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
    )


def test_delivery_leaves_no_value_with_the_api(safe: Safe, tmp_path: Path) -> None:
    """An API that starts after the value was put, and so never had it, has it nowhere: memory, files, log."""
    planted = f"planted-{secrets.token_hex(24)}"
    first = Server(safe)
    with first, Wire.to(first) as wire:
        upload(wire, "holder", HELLO, secret("TOKEN", planted))
    server = Server(safe)
    with server, Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
        assert planted == delivery.workers.text("holder")
        seen = {f"memory {number}": part for number, part in enumerate(memory_of(server.pid))}
        seen |= files_in(tmp_path)
        for pid in (server.pid, delivery.pid, delivery.child("workerd")):
            seen |= {f"{pid} {name}": Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")}

    assert len(seen) > 20
    for spelling in forms(planted):
        assert [] == [place for place, content in seen.items() if spelling in content]


def test_the_search_finds_the_value_in_workerd(safe: Safe, tmp_path: Path) -> None:
    """The value is found in the memory of the process that has it, one workerd of several."""
    planted = f"planted-{secrets.token_hex(24)}"
    server = Server(safe)
    with server, Wire.to(server) as wire, Deliver(safe, server.base_url, tmp_path / "delivery") as delivery:
        upload(wire, "holder", HELLO, secret("TOKEN", planted))
        assert planted == delivery.workers.text("holder")

        pids = delivery.all_children("workerd")
        assert any(planted.encode() in part for pid in pids for part in memory_of(pid))


def test_the_delivery_process_cannot_be_inspected(own: Run) -> None:
    """Its memory and its environment belong to root, for any user that runs it, and no token is in its arguments."""
    owner = Path(f"/proc/{own.pid}/mem").stat().st_uid
    limits = Path(f"/proc/{own.pid}/limits").read_text()

    assert 0 == owner
    assert ["0", "0"] == next(line for line in limits.splitlines() if "core file" in line).split()[4:6]
    for pid in (own.pid, own.child("api_child"), own.child("workerd serve")):
        assert b"nst_" not in Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


def test_an_open_or_empty_token_file_is_refused(safe: Safe, tmp_path: Path) -> None:
    """A token file that others can read is refused, and so is one that holds no token."""
    token, ring, keys = tmp_path / "token", safe.private_ring, safe.path / "keys" / "verify-keys.json"
    base = ("deliver", "--private-ring", str(ring), "--verify-keys", str(keys), "--token-file", str(token))
    token.write_text("nst_x")
    token.chmod(0o644)
    open_to_others = run(*base, cwd=tmp_path)
    token.chmod(0o600)
    token.write_text("\n")
    empty = run(*base, cwd=tmp_path)

    assert (1, f"nightsafe: {token}: has mode 0644; run: chmod 0600 {token}\n") == (
        open_to_others.returncode,
        open_to_others.stderr,
    )
    assert (1, f"nightsafe: {token}: it holds no token\n") == (empty.returncode, empty.stderr)
