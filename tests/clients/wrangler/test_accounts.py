"""The account and the credentials that wrangler finds by itself."""

from tests.clients.node.tools import started_wrangler
from tests.clients.wrangler.project import Project


def test_the_only_account_is_used(project: Project) -> None:
    """Without an account id in the environment wrangler lists the accounts and uses the only one."""
    project.upload()

    project.ok("secret", "put", "KEY", stdin="hush", CLOUDFLARE_ACCOUNT_ID="")

    assert {"KEY": "hush"} == project.values()


def test_a_global_api_key_works_like_a_token(project: Project) -> None:
    """The global API key works like a token."""
    safe = project.server.safe
    project.upload()

    project.ok(
        "secret", "put", "KEY", stdin="hush",
        CLOUDFLARE_API_TOKEN="", CLOUDFLARE_API_KEY=safe.api_key, CLOUDFLARE_EMAIL=safe.email,
    )  # fmt: skip

    assert {"KEY": "hush"} == project.values()


def test_wranglers_own_start_script_works(project: Project) -> None:
    """In a process of its own, started by wrangler's own script, a command works as in the other tests."""
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
