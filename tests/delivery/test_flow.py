"""The delivery flow that docs/architecture.md describes."""

from tests.delivery.runtime import Runtime, text
from tests.flows import entered, listed, missed

CODE = "export default { fetch(request, env) { return new Response(env.T); } };"


async def test_delivering_a_script_follows_the_documented_flow(own_runtime: Runtime) -> None:
    """A change and the first request to its script call the functions that the page lists, in order."""
    version = own_runtime.version("worker", CODE, [text("T", "a-value")])
    with entered() as steps:
        await own_runtime.serve("worker", version)
        assert "a-value" == (await own_runtime.get("worker")).text

    assert [] == missed(listed("Deliver a script"), steps)
