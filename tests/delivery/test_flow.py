"""The flow of a delivery is that of docs/architecture.md."""

from tests.delivery.scene import Scene, text
from tests.flows import entered, listed, missed

CODE = "export default { fetch(request, env) { return new Response(env.T); } };"


async def test_delivering_a_script_takes_the_listed_way(scene: Scene) -> None:
    """A change and the first request to its script enter the functions that the page lists, in their order."""
    version = scene.version("worker", CODE, [text("T", "a-value")])
    with entered() as steps:
        await scene.serve("worker", version)
        assert "a-value" == (await scene.get("worker")).text

    assert [] == missed(listed("Deliver a script"), steps)
