"""The files of a Worker: the server stores exactly what wrangler uploads."""

from tests.clients.wrangler.project import Project

WASM = bytes.fromhex("0061736d01000000")
TEXT = "text with ünïcode\r\n"
DATA = bytes(range(256)) * 40
SOURCE = """
import wasm from "./add.wasm";
import text from "./words.txt";
import data from "./bytes.bin";
export default { fetch() { return new Response(text + data.byteLength + wasm); } };
"""
CLASSIC = "addEventListener('fetch', (event) => event.respondWith(new Response(GREETING)));\n"


def test_modules_of_every_kind_stay_unchanged(project: Project) -> None:
    """WebAssembly, text and data are unchanged, also after `versions secret put` has downloaded and uploaded them."""
    project.write("index.js", SOURCE)
    project.write("add.wasm", WASM)
    project.write("words.txt", TEXT)
    project.write("bytes.bin", DATA)
    project.ok("deploy")
    uploaded = project.files()

    assert "application/javascript+module" in uploaded
    assert WASM == uploaded["application/wasm"]
    assert TEXT.encode() == uploaded["text/plain"]
    assert DATA == uploaded["application/octet-stream"]
    project.ok("versions", "secret", "put", "KEY", stdin="hush")
    assert uploaded == project.files()
    assert {"KEY": "hush"} == project.values()


def test_a_service_worker_stays_one(project: Project) -> None:
    """A service worker with a global variable stays a service worker."""
    project.write("index.js", CLASSIC)
    project.configure(vars={"GREETING": "hello"})
    project.ok("deploy")
    uploaded = project.files()

    assert b"addEventListener" in uploaded["application/javascript"]
    project.ok("versions", "secret", "put", "KEY", stdin="hush")
    assert uploaded == project.files()
    assert {"GREETING", "KEY"} == set(project.bindings())
