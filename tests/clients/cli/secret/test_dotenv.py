"""`.env` files are parsed exactly as wrangler parses them."""

from pathlib import Path
from typing import Final

import pytest
from tests.clients.cli.tools.user_environment import UserEnvironment
from tests.clients.node.tools import NEWER, wrangler

ALL_FORMS: Final = r"""
# a comment
PLAIN=value
  INDENTED = padded value   # and a comment
export EXPORTED=yes
COLON: value
EMPTY=
ONLY_SPACES=
SINGLE='no $EXPANSION \n here # not a comment'
DOUBLE="a\nb\r\tc \"inner\" # not a comment" # a comment
BACKTICK=`both ' and "`
MULTI="-----BEGIN PRIVATE KEY-----
MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEA
# no comment in here
-----END PRIVATE KEY-----"
MULTI_SINGLE='a

b'
OPEN="no end
AFTER_OPEN=1
HASH=a#b
QUOTED_HASH="a#b"
EQUALS=a=b=c
JSON={"a": "b"}
URL=https://user:pass@host/?q=1&r=2
DOT.TED-NAME=1
UNICODE=żółć 🔑
TWICE=first
TWICE=last
not an assignment
"""


@pytest.mark.thorough
def test_dotenv_files_are_read_as_wrangler_reads_them(user: UserEnvironment, tmp_path: Path) -> None:
    """Both give the same values for quotes, several lines, comments, escapes and malformed lines."""
    file = user.cwd / "secrets.env"
    for content in (ALL_FORMS, ALL_FORMS.replace("\n", "\r\n"), "A=1\nB='x", 'A="1\n2"'):
        file.write_bytes(content.encode())
        user.run("secret", "apply", str(file), "--prune", "--yes")
        ours = user.values()
        user.run("secret", "apply", "-", "--prune", "--yes", stdin=b"{}")

        done = wrangler(
            user.server,
            tmp_path,
            "secret",
            "bulk",
            str(file),
            "--name",
            user.script,
            version=NEWER,
            CLOUDFLARE_API_TOKEN=user.server.safe.api_token,
            CLOUDFLARE_ACCOUNT_ID=user.server.safe.account_id,
        )

        assert 0 == done.returncode, done.stdout + done.stderr
        assert user.values() == ours
        assert ours
