"""`Cloudflare-Workers-Version-Overrides`: requests that choose one of the deployed versions."""

from typing import Final

import pytest
from tests.delivery.runtime import HELLO, Binding, Runtime, text

FORWARD: Final = """
export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  const answer = await (pathname === "/bare" ? env.S.fetch("http://s/") : env.S.fetch(request));
  return new Response(`${env.TOKEN} ${await answer.text()}`);
} };"""


async def deploy(
    runtime: Runtime, script: str, code: str = HELLO, *bindings: Binding, new: float = 0.0
) -> tuple[str, str]:
    """Deploy an old version and a new one with a share of the traffic; return their ids."""
    old, newer = (
        runtime.version(script, code, [text("TOKEN", value), *bindings], percentage=share)
        for value, share in (("old", 100 - new), ("new", new))
    )
    await runtime.serve(script, old, newer)
    return old.id, newer.id


async def ask(runtime: Runtime, header: str, script: str = "hello", path: str = "/", **headers: str) -> str:
    """Return a script's answer to a request with the header."""
    return (await runtime.get(script, path, Cloudflare_Workers_Version_Overrides=header, **headers)).text


async def test_a_version_without_traffic_is_reached_by_its_id(runtime: Runtime) -> None:
    """Only a request that names the version's id gets that version."""
    old, new = await deploy(runtime, "hello")

    assert {"old"} == {(await runtime.get("hello")).text for _ in range(50)}
    assert ["new"] * 5 == [await ask(runtime, f'hello="{new}"') for _ in range(5)]
    assert "old" == await ask(runtime, f'hello="{old}"')
    assert "new" == await ask(runtime, f'hello="{new.upper()}"')


async def test_an_override_wins_over_percentage_and_affinity(runtime: Runtime) -> None:
    """The override decides, and not the percentages or the version key."""
    ids = await deploy(runtime, "hello", new=50.0)

    for key in range(10):
        for name, version in zip(("old", "new"), ids, strict=True):
            found = await ask(runtime, f'hello="{version}"', cloudflare_workers_version_key=f"user {key}")
            assert name == found


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('hello="{new}"', "new"),
        ('other="x" ,\thello="{new}"', "new"),
        ('hello="{new}", other="x"', "new"),
        ('flag, number=1, list=("a" b);q=1, hello="{new}";a=1;b', "new"),
        ('hello="{old}", hello="{new}"', "new"),
        ('hello="{new}", hello="{old}"', "old"),
        ('hello="{new}", hello', "old"),
        ("hello={new}", "old"),
        ("hello='{new}'", "old"),
        ('hello=("{new}")', "old"),
        ('hello="{new}",', "old"),
        ('hello="{new}" other="x"', "old"),
        ('hello="{new}', "old"),
        ('hello = "{new}"', "old"),
        ('Hello="{new}"', "old"),
        ('hello="{new}", =', "old"),
        ('"hello"="{new}"', "old"),
        ('hell="{new}"', "old"),
        ('hello="{new}x"', "old"),
        ('hello=""', "old"),
        ('hello="00000000-0000-4000-8000-999999999999"', "old"),
        ("", "old"),
        ("é", "old"),
    ],
)
async def test_an_override_header_is_a_dictionary(runtime: Runtime, header: str, expected: str) -> None:
    """A key is a script, the last of equal keys counts, and malformed or unknown entries are ignored."""
    old, new = await deploy(runtime, "hello")

    answer = await runtime.client.get(
        "/",
        headers=[
            (b"host", b"hello.localhost"),
            (b"cloudflare-workers-version-overrides", header.format(old=old, new=new).encode()),
        ],
    )

    assert (200, expected) == (answer.status_code, answer.text)


async def test_several_override_headers_are_joined(runtime: Runtime) -> None:
    """Several headers are joined, as for every header that is a list."""
    _, new = await deploy(runtime, "hello")
    name = b"CLOUDFLARE-Workers-Version-OVERRIDES"
    headers = [(b"host", b"hello.localhost"), (name, b'other="x"'), (name, f'hello="{new}"'.encode())]

    assert "new" == (await runtime.client.get("/", headers=headers)).text


async def test_a_service_binding_passes_an_override_on(runtime: Runtime) -> None:
    """One header chooses for both scripts if the request is passed on; a new request carries no override."""
    service: Binding = {"type": "service", "name": "S", "service": "hello"}
    _, new = await deploy(runtime, "hello")
    _, front = await deploy(runtime, "front", FORWARD, service)

    assert "old new" == await ask(runtime, f'hello="{new}"', "front")
    assert "new new" == await ask(runtime, f'front="{front}", hello="{new}"', "front")
    assert "new old" == await ask(runtime, f'front="{front}"', "front")
    assert "old old" == await ask(runtime, f'hello="{new}"', "front", "/bare")


async def test_an_override_to_an_undeployed_version_is_ignored(runtime: Runtime) -> None:
    """The override is ignored at once, also while its version is still loaded."""
    _, new = await deploy(runtime, "hello")
    assert "new" == await ask(runtime, f'hello="{new}"')
    await runtime.upload("hello", HELLO, [text("TOKEN", "newest")])

    assert "newest" == await ask(runtime, f'hello="{new}"')
