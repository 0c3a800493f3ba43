"""Which account and which credentials wrangler finds by itself."""

from tests.clients.wrangler.project import Project


def test_the_only_account(project: Project) -> None:
    """Without one in the environment it asks which there are, and takes the only one."""
    project.upload()

    project.ok("secret", "put", "KEY", stdin="hush", CLOUDFLARE_ACCOUNT_ID="")

    assert {"KEY": "hush"} == project.values()


def test_a_key_and_an_email(project: Project) -> None:
    """The Global API key does what a token does."""
    safe = project.server.safe
    project.upload()

    project.ok(
        "secret", "put", "KEY", stdin="hush",
        CLOUDFLARE_API_TOKEN="", CLOUDFLARE_API_KEY=safe.api_key, CLOUDFLARE_EMAIL=safe.email,
    )  # fmt: skip

    assert {"KEY": "hush"} == project.values()
