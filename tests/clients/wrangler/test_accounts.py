"""Which account and which credentials wrangler finds by itself."""

from tests.clients.node.tools import started_wrangler
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


def test_a_start_as_users_start_it(project: Project) -> None:
    """A process of its own, by wrangler's own start, does what the commands of the other tests do."""
    safe = project.server.safe
    project.upload()
    credentials = {"CLOUDFLARE_API_TOKEN": safe.api_token, "CLOUDFLARE_ACCOUNT_ID": safe.account_id}
    put = ("secret", "put", "KEY")

    done = started_wrangler(
        project.server, project.folder, *put, version=project.version, stdin="hush", **credentials
    )

    assert done.returncode == 0, done.stderr
    assert "Success! Uploaded secret KEY" in done.stdout
    assert {"KEY": "hush"} == project.values()
