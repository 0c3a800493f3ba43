"""Tests new TLS files in a separate process, because the server's library ends its process over unusable files.

`python -m nightsafe.cli.tls.trial PORT CERTIFICATE KEY [CLIENT_CA]` exits with 0 if a server starts with the files.
"""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from nightsafe.cli.tls.files import TlsFiles
from nightsafe.confinement.process import hide
from nightsafe.errors import Code, NightsafeError

_SECONDS: Final = 20.0


async def try_tls_files(tls: TlsFiles, descriptors: Iterable[int], port: int) -> None:
    """Start a server with these files in another process.

    Args:
        tls: the files.
        descriptors: descriptors that the process must inherit to use the paths.
        port: a free port of this machine.

    Raises:
        NightsafeError: INVALID, if the server does not start.
    """
    arguments = [str(path) for path in (tls.certificate, tls.key, tls.client_ca) if path is not None]
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "nightsafe.cli.tls.trial", str(port), *arguments),
        pass_fds=tuple(descriptors),
        stdin=null,
        stdout=null,
        stderr=null,
    )
    try:
        code = await asyncio.wait_for(process.wait(), _SECONDS)
    except TimeoutError:
        process.kill()
        code = await process.wait()
    if code:
        raise NightsafeError(Code.INVALID, "the server cannot use the new certificate and key")


async def _start(tls: TlsFiles, port: int) -> None:
    """Start a server and return when it is ready."""
    from nightsafe.cli.server.listener import ListeningServer, listen, wait_until_ready  # only in the trial

    async def application(_: object, __: object, ___: object) -> None:
        """Answer nothing."""

    with listen("127.0.0.1", port) as listener:
        serving = asyncio.ensure_future(ListeningServer(application, listener, tls).serve())
        await wait_until_ready(listener, serving)


def main() -> None:
    """Test the files of the command line."""
    hide()
    certificate, key, *client_ca = map(Path, sys.argv[2:])
    asyncio.run(_start(TlsFiles(certificate, key, client_ca[0] if client_ca else None), int(sys.argv[1])))


if __name__ == "__main__":
    main()
