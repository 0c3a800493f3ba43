"""`nightsafe secret import` from a real OpenBao, which speaks Vault's API."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.clients.cli.tools.bao import Bao, running_bao
from tests.clients.cli.tools.user_environment import UserEnvironment


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    """Yield a server with secrets in mounts of both versions."""
    with running_bao(tmp_path_factory.mktemp("bao")) as running:
        secrets: dict[str, dict[str, Any]] = {
            "my-app": {"API_KEY": "one", "PEM": "a\nb\n", "PORT": 8080, "NESTED": {"a": [True, None, "ż"]}},
            "team/a": {"KEY": "1"},
            "team/deep/er": {"KEY": "2", "OTHER": "3"},
        }
        for name, data in secrets.items():
            running.ask("POST", f"secret/data/{name}", {"data": data})
            running.ask("POST", f"old/kv/{name}", data)
        running.ask("POST", "secret/data/gone", {"data": {"A": "1"}})
        running.ask("DELETE", "secret/data/gone")
        yield running


MY_APP = {"API_KEY": "one", "PEM": "a\nb\n", "PORT": "8080", "NESTED": '{"a": [true, null, "ż"]}'}
TEAM = {"team_a_KEY": "1", "team_deep_er_KEY": "2", "team_deep_er_OTHER": "3"}


@pytest.mark.parametrize("mount", ["secret", "old/kv"])
def test_import_of_one_vault_secret(user: UserEnvironment, bao: Bao, mount: str) -> None:
    """Each member of a secret, of either KV version, becomes a secret: strings unchanged, other types as JSON."""
    user.environ |= bao.environ

    code, _ = user.at_terminal("secret", "import", f"bao:{mount}/my-app")

    assert (0, MY_APP) == (code, user.values())


@pytest.mark.parametrize("mount", ["secret", "old/kv"])
def test_import_of_all_vault_secrets_below_a_path(user: UserEnvironment, bao: Bao, mount: str) -> None:
    """A path that ends with a slash imports everything below it, named by path, with a progress bar."""
    user.environ |= {"VAULT_ADDR": bao.address, "VAULT_TOKEN": bao.environ["BAO_TOKEN"]}

    code, shown = user.at_terminal("secret", "import", f"vault:{mount}/team/")

    assert (0, TEAM) == (code, user.values())
    assert "Reading" in shown


def test_import_of_a_whole_vault_mount(user: UserEnvironment, bao: Bao) -> None:
    """A mount alone imports everything in it; `--only` selects names."""
    user.environ |= bao.environ

    found = user.json("secret", "import", "bao:old/kv/", "--only", "my-app_*", "--dry-run")

    assert ["my-app_API_KEY", "my-app_NESTED", "my-app_PEM", "my-app_PORT"] == found["put"]
    assert {} == user.values()


def test_a_narrow_token_is_enough(user: UserEnvironment, bao: Bao) -> None:
    """A token that may read only this secret is enough; `.vault-token` may contain it instead of a variable."""
    (user.home / ".vault-token").write_text(bao.token("secret/data/my-app") + "\n")
    user.environ |= {"VAULT_ADDR": bao.address}

    user.json("secret", "import", "vault:secret/my-app")

    assert MY_APP == user.values()


@pytest.mark.parametrize(
    ("source", "environ", "code", "words"),
    [
        ("bao:secret/absent", {}, 4, "there is no secret at secret/data/absent"),
        ("bao:secret/gone", {}, 4, "there is no secret at secret/data/gone, or it was deleted"),
        ("bao:secret/none/", {}, 4, "there is nothing below secret/none/"),
        ("bao:elsewhere/x", {}, 1, "is not a KV mount"),
        ("bao:nowhere/x", {}, 3, "looking for the mount of nowhere/x is not permitted, or it does not exist"),
        ("bao:secret/my-app", {"BAO_TOKEN": "wrong"}, 3, "is BAO_TOKEN or VAULT_TOKEN right?"),
        ("bao:secret/my-app", {"BAO_TOKEN": ""}, 3, "no credentials found: set BAO_TOKEN or VAULT_TOKEN"),
        ("bao:secret/my-app", {"BAO_ADDR": "http://127.0.0.1:9"}, 6, "127.0.0.1:9 cannot be reached"),
        ("bao:secret/my-app", {"BAO_ADDR": "127.0.0.1"}, 1, "must have the form https://host:8200"),
        ("vault:secret/my-app", {}, 1, "set VAULT_ADDR to the server's address"),
        ("bao:", {}, 1, "name a mount and a path, for example bao:secret/my-app"),
    ],
)
def test_import_refusals_name_the_cause_but_not_the_token(  # noqa: PLR0913, PLR0917 - the columns of the table
    user: UserEnvironment, bao: Bao, source: str, environ: dict[str, str], code: int, words: str
) -> None:
    """The message names the cause and what to do, and never the token."""
    user.environ |= bao.environ | environ

    said = user.refusal("secret", "import", source, code=code)

    assert words in said
    assert bao.environ["BAO_TOKEN"] not in said
    assert {} == user.values()


def test_two_vault_secrets_of_one_name_are_refused(user: UserEnvironment, bao: Bao) -> None:
    """Two secrets that would get the same name are refused, and none is put."""
    bao.ask("POST", "secret/data/twice/a_b", {"data": {"C": "1"}})
    bao.ask("POST", "secret/data/twice/a/b", {"data": {"C": "1"}})
    user.environ |= bao.environ

    assert "'twice_a_b_C'" in user.refusal("secret", "import", "bao:secret/twice/", code=1)
    assert {} == user.values()


def test_plain_http_to_another_machine_is_refused(user: UserEnvironment) -> None:
    """The address of another machine without TLS is refused before the token is sent; `--plain-http` allows it."""
    ask = ("secret", "import", "vault:secret/my-app")
    environ = {"VAULT_ADDR": "http://vault.invalid:8200", "VAULT_TOKEN": "canary"}

    assert "would cross the network unencrypted; use https" in user.refusal(*ask, code=1, stdin=b"", **environ)
    assert "vault.invalid:8200 cannot be reached" in user.refusal(*ask, "--plain-http", code=6, stdin=b"", **environ)
