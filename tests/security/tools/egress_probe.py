"""Runs a delivery process in a separate network with public addresses of this machine, and prints what scripts reach.

`test_egress.py` runs it as a program, inside namespaces that end with it, so that no packet leaves them.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from structlog.testing import capture_logs
from tests.delivery.runtime import Runtime

from nightsafe.delivery.workerd.limits import Limits

PORT = 9500
OWN_V4 = (
    "11.22.33.44",
    "25.1.2.3",
    "198.18.0.1",
    "192.88.99.1",
    "203.0.113.5",
    "10.9.9.9",
    "100.64.0.1",
    "169.254.7.7",
)
OWN_V6 = (
    "2600:1111::5", "64:ff9b::b16:212c", "64:ff9b:1::b16:212c", "2002:b16:212c::1", "fec0::1", "2001:db8::1",
    "fd00::7", "100::1", "5f00::1", "3fff::1", "::11.22.33.44", "::ffff:0:b16:212c", "2001:0:1::1", "fe80::5",
)  # fmt: skip
ROUTED = ("12.0.0.9", "[2600:2222::99]")
OTHER_FORMS = (
    "0xb16212c", "11.22.8492", "013.026.041.054", "0.0.0.0", "127.0.0.1", "localhost", "own.test", "mapped.test",  # noqa: S104 - must be refused
    "[::ffff:11.22.33.44]", "[::ffff:127.0.0.1]", "[::1]", "[::]", "[64:ff9b::7f00:1]",
)  # fmt: skip
REFUSED = (*OWN_V4, *(f"[{one}]" for one in OWN_V6), *ROUTED, *OTHER_FORMS)
LATER = "26.1.2.3"
NAMED = "25.9.9.9"
AWAY = "30.0.0.2"
SCRIPT = """
import { connect } from "cloudflare:sockets";
const ways = {
  async fetch(host) { return (await fetch(`http://${host}:9500/`)).text(); },
  async connect(host) {
    const socket = connect(host.includes(":") ? `${host}:9500` : { hostname: host, port: 9500 });
    const writer = socket.writable.getWriter();
    await writer.write(new TextEncoder().encode("GET / HTTP/1.0\\r\\n\\r\\n"));
    const { value } = await socket.readable.getReader().read();
    return new TextDecoder().decode(value);
  },
  async socket(host) {
    const { status } = await fetch(`http://${host}:9500/`, { headers: { upgrade: "websocket" } });
    return `reached with ${status}`;
  },
  async redirect(host) { return (await fetch(`http://25.9.9.9:9500/to?${host}`)).text(); },
};
export default { async fetch(request) {
  const told = {};
  for (const host of await request.json()) {
    for (const [name, way] of Object.entries(ways)) {
      try { if ((await way(host)).includes("reached")) (told[host] ??= []).push(name); } catch {}
    }
  }
  return Response.json(told);
} };"""


def run(*command: str) -> None:
    """Run a system command."""
    subprocess.run(command, check=True, capture_output=True)


def lay_out() -> None:
    """Give this network its addresses, two names, and routes to two local networks."""
    run("ip", "link", "set", "lo", "up")
    for address in (*OWN_V4, NAMED):
        run("ip", "addr", "add", f"{address}/32", "dev", "lo")
    for address in OWN_V6:
        run("ip", "-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad")
    run("ip", "route", "add", "local", "12.0.0.0/24", "dev", "lo")
    run("ip", "-6", "route", "add", "local", "2600:2222::/64", "dev", "lo")
    names = Path(sys.argv[1]) / "hosts"
    names.write_text("127.0.0.1 localhost\n11.22.33.44 own.test\n::ffff:11.22.33.44 mapped.test\n")
    run("mount", "--bind", str(names), "/etc/hosts")


FORWARDER = """
import asyncio, subprocess, sys
async def carry(reader, writer):
    while data := await reader.read(1 << 16): writer.write(data)
    writer.close()
async def forward(reader, writer):
    there = await asyncio.open_connection("30.0.0.1", 9500)
    await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))
async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    for command in ("link set lo up", "addr add 30.0.0.2/24 dev away", "link set away up"):
        subprocess.run(["ip", *command.split()], check=True)
    server = await asyncio.start_server(forward, "30.0.0.2", 9500)
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@contextlib.contextmanager
def another_machine() -> Iterator[None]:
    """Start another machine that forwards to this one, with a network between the two."""
    with subprocess.Popen(
        ["unshare", "--net", sys.executable, "-c", FORWARDER],  # noqa: S607 - a system command
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as there:
        assert there.stdin is not None
        assert there.stdout is not None
        try:
            there.stdout.readline()
            run("ip", "link", "add", "here", "type", "veth", "peer", "name", "away", "netns", str(there.pid))
            run("ip", "addr", "add", "30.0.0.1/24", "dev", "here")
            run("ip", "link", "set", "here", "up")
            there.stdin.write("go\n")
            there.stdin.flush()
            there.stdout.readline()
            yield
        finally:
            there.kill()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a service of this machine; redirect to the host in the query, if it has one."""
    with contextlib.suppress(ConnectionError):
        first = (await reader.readline()).decode()
        target = first.split()[1].partition("?")[2]
        head = f"302 Found\r\nLocation: http://{target}:{PORT}/" if target else "200 OK"
        body = "" if target else "reached"
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()


async def reached(runtime: Runtime, *hosts: str) -> dict[str, list[str]]:
    """Return the hosts that the script reaches, each with the ways that worked."""
    host = {"host": f"asks.localhost:{runtime.port}"}
    told: dict[str, list[str]] = (await runtime.client.post("/", headers=host, content=json.dumps(hosts))).json()
    return told


async def reached_in_the_end(runtime: Runtime, host: str) -> dict[str, list[str]]:
    """Ask until the script does not reach a host; return what it reaches then.

    A process that is replaced closes each connection on which it has not read a request yet, even one that the client
    is sending on.
    """
    while True:
        with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
            if not (told := await reached(runtime, host)):
                return told


async def main() -> None:
    """Set up the network, serve a script, and print the addresses that it reaches."""
    lay_out()
    service = await asyncio.start_server(answer, ["::", "0.0.0.0"], PORT)  # noqa: S104 - no other machine is in this network
    reach = (ip_network(NAMED), ip_network("11.0.0.0/8"))  # the wider range opens no address of this machine
    limits = Limits(cells=0, max_cells=0)
    with TemporaryDirectory(prefix="ns-") as name, another_machine(), capture_logs():
        async with service, Runtime(Path(name), reach=reach, limits=limits) as runtime:
            await runtime.upload("asks", SCRIPT)
            own = await reached(runtime, *REFUSED)
            others = await reached(runtime, NAMED, AWAY)
            before = runtime.delivery.supervisor.current.pid
            run("ip", "addr", "add", f"{LATER}/32", "dev", "lo")
            async with asyncio.timeout(60):
                later = await reached_in_the_end(runtime, LATER)
            restarted = runtime.delivery.supervisor.current.pid != before
    sys.stdout.write(json.dumps({"own": own, "others": others, "later": later, "restarted": restarted}))


if __name__ == "__main__":
    asyncio.run(main())
