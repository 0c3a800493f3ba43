"""Settings files in a directory that another user controls: they cannot redirect a command, a token or a value."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.server import Safe, run

LINES = "seal = 'never'\nplain_http = true\naccount_id = '{account}'\nscript = 'worker'\ntoken_file = '{token}'\n"


@contextmanager
def unanswering_server() -> Iterator[tuple[str, socket.socket]]:
    """Yield the URL and the socket of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/client/v4", listener


def was_called(listener: socket.socket) -> bool:
    """Return True if a client has connected."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_a_file_in_the_working_directory_cannot_name_the_server(user: UserEnvironment) -> None:
    """A settings file in the working directory cannot name the server; the message names its settings."""
    del user.environ["CLOUDFLARE_BASE_URL"]
    token = user.write("token", "nst_kept")
    (user.cwd / "token").chmod(0o600)
    with unanswering_server() as (url, listener):
        other_settings = LINES.format(account="0" * 32, token=token)
        user.write("nightsafe.toml", f"url = '{url}'\n{other_settings}")
        user.write("wrangler.json", f'{{"name": "worker", "account_id": "{"0" * 32}", "url": "{url}"}}')
        refused = user.refusal("secret", "put", "A", "--account", "0" * 32, code=1, stdin=b"value")
        assert not was_called(listener)

    assert (
        "ignored these settings of nightsafe.toml in this directory: account_id, plain_http, seal, token_file, url."
        in refused
    )
    assert "no server is named, and there is no safe in .nightsafe" in refused


def test_the_environment_overrides_a_named_settings_file(user: UserEnvironment) -> None:
    """An environment variable overrides the file of `--config`; otherwise standard error names the file's server."""
    url = user.environ["CLOUDFLARE_BASE_URL"]
    with unanswering_server() as (elsewhere, listener):
        user.write("mine.toml", f"url = '{elsewhere}'\n")
        assert 0 == (done := user.run("--config", "mine.toml", "secret", "put", "A", stdin=b"value")).returncode
        assert "the server is" not in done.stderr
        assert not was_called(listener)

    del user.environ["CLOUDFLARE_BASE_URL"]
    user.write("mine.toml", f"url = '{url}'\n")
    done = user.run("--config", "mine.toml", "secret", "list")
    assert f"nightsafe: the server is {url} (named by the settings file)\n" == done.stderr


def test_serving_ignores_settings_of_the_working_directory(safe: Safe) -> None:
    """`serve`, `run` and `deliver` ignore data, host and other settings of a file in the working directory."""
    folder = safe.path.parent
    (folder / "nightsafe.toml").write_text(f"data = '{safe.path}'\nhost = '0.0.0.0'\nplain_http = true\n")
    for command in ("serve", "run", "deliver"):
        done = run(command, cwd=folder)
        assert done.returncode in {1, 2}
        assert "ignored these settings of nightsafe.toml in this directory: data, host, plain_http." in done.stderr
        assert str(safe.path) not in done.stderr
