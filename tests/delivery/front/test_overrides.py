"""`Cloudflare-Workers-Version-Overrides`: a request that asks for one of the versions that are deployed."""

from typing import Final

import pytest
from tests.delivery.scene import Binding, Scene, text

HELLO: Final = "export default { fetch: (request, env) => new Response(env.TOKEN) };"
FORWARD: Final = """
export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  const answer = await (pathname === "/bare" ? env.S.fetch("http://s/") : env.S.fetch(request));
  return new Response(`${env.TOKEN} ${await answer.text()}`);
} };"""


async def deploy(
    scene: Scene, script: str, code: str = HELLO, *bindings: Binding, new: float = 0.0
) -> tuple[str, str]:
    """An old version and a new one that has a share; gives their ids."""
    old, newer = (
        scene.version(script, code, [text("TOKEN", value), *bindings], percentage=share)
        for value, share in (("old", 100 - new), ("new", new))
    )
    await scene.serve(script, old, newer)
    return old.id, newer.id


async def ask(scene: Scene, header: str, script: str = "hello", path: str = "/", **headers: str) -> str:
    """What a script answers to a request with such a header."""
    return (await scene.get(script, path, Cloudflare_Workers_Version_Overrides=header, **headers)).text


async def test_a_version_of_no_share_is_tried_first(scene: Scene) -> None:
    """Nobody gets it but who asks for it by its id."""
    old, new = await deploy(scene, "hello")

    assert {"old"} == {(await scene.get("hello")).text for _ in range(50)}
    assert ["new"] * 5 == [await ask(scene, f'hello="{new}"') for _ in range(5)]
    assert "old" == await ask(scene, f'hello="{old}"')
    assert "new" == await ask(scene, f'hello="{new.upper()}"')


async def test_it_wins_over_percentage_and_affinity(scene: Scene) -> None:
    """Whatever these would choose."""
    ids = await deploy(scene, "hello", new=50.0)

    for key in range(10):
        for name, version in zip(("old", "new"), ids, strict=True):
            found = await ask(scene, f'hello="{version}"', cloudflare_workers_version_key=f"user {key}")
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
async def test_the_header_is_a_dictionary(scene: Scene, header: str, expected: str) -> None:
    """Of several scripts; the last of a name counts; what is malformed or names nothing that is served is ignored."""
    old, new = await deploy(scene, "hello")

    answer = await scene.client.get(
        "/",
        headers=[
            (b"host", b"hello.localhost"),
            (b"cloudflare-workers-version-overrides", header.format(old=old, new=new).encode()),
        ],
    )

    assert (200, expected) == (answer.status_code, answer.text)


async def test_several_headers_are_one(scene: Scene) -> None:
    """As for every header that is a list."""
    _, new = await deploy(scene, "hello")
    name = b"CLOUDFLARE-Workers-Version-OVERRIDES"
    headers = [(b"host", b"hello.localhost"), (name, b'other="x"'), (name, f'hello="{new}"'.encode())]

    assert "new" == (await scene.client.get("/", headers=headers)).text


async def test_a_service_binding_hands_it_on_with_the_request(scene: Scene) -> None:
    """One header chooses for both scripts; a request without it is not touched by that of another."""
    service: Binding = {"type": "service", "name": "S", "service": "hello"}
    _, new = await deploy(scene, "hello")
    _, front = await deploy(scene, "front", FORWARD, service)

    assert "old new" == await ask(scene, f'hello="{new}"', "front")
    assert "new new" == await ask(scene, f'front="{front}", hello="{new}"', "front")
    assert "new old" == await ask(scene, f'front="{front}"', "front")
    assert "old old" == await ask(scene, f'hello="{new}"', "front", "/bare")


async def test_a_version_that_is_not_deployed_any_more(scene: Scene) -> None:
    """Is ignored at once, also while it is loaded."""
    _, new = await deploy(scene, "hello")
    assert "new" == await ask(scene, f'hello="{new}"')
    await scene.upload("hello", HELLO, [text("TOKEN", "newest")])

    assert "newest" == await ask(scene, f'hello="{new}"')
