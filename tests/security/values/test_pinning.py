"""Attacks by a server that offers a wrong ring, and by a settings file in the working directory."""

import json
from pathlib import Path

import httpx
import pytest
from cloudflare import Cloudflare
from tests.unit.client.recorder import ACCOUNT, Answer, Recorder, answer, refusal

from nightsafe.cli.settings.settings_file import default_map
from nightsafe.client import Nightsafe, SealingError
from nightsafe.sealing.rings.lineage import Lineage
from nightsafe.sealing.rings.private_ring import PrivateRing
from nightsafe.sealing.rings.public_ring import PublicRing
from nightsafe.sealing.rings.ring_signer import public_ring

PRIVATE = PrivateRing.generate()
RING, FOREIGN = public_ring(PRIVATE), public_ring(PrivateRing.generate())
ROTATED = public_ring(PRIVATE.rotated(), RING, PRIVATE.primary)
SECRET = {"name": "S", "type": "secret_text"}
VALUE = "plaintext-of-the-test"


def offered(ring: PublicRing) -> Answer:
    """Return a server's answer that offers a ring."""
    return answer(json.loads(ring.encode_offer()), result_info=json.loads(ring.encode_proof()))


def sent(known: Path, *answers: Answer) -> str:
    """Put a secret through a new client and return the body that it sends; a sealed body contains the key's id."""
    recorder = Recorder(*answers)
    with Nightsafe(
        api_token="any", base_url="https://safe.test/client/v4", http_client=recorder, known_rings=known
    ) as one:
        one.workers.scripts.secrets.update("s", account_id=ACCOUNT, name="S", text=VALUE, type="secret_text")
    return recorder.requests[-1].content.decode()


def test_the_first_ring_is_remembered(tmp_path: Path) -> None:
    """A client that seals remembers the first ring of a server and account."""
    assert RING.primary.id in sent(tmp_path / "known", offered(RING), answer(SECRET))
    assert f"https://safe.test/client/v4 {ACCOUNT} 1 " in (tmp_path / "known").read_text()


def test_no_other_ring_is_taken(tmp_path: Path) -> None:
    """When the server then offers no ring, an older ring, or a ring that the known ring did not sign, the client
    sends nothing.
    """
    known = tmp_path / "known"
    sent(known, offered(RING), answer(SECRET))
    assert ROTATED.primary.id in sent(known, offered(ROTATED), answer(SECRET))
    for swapped in (offered(FOREIGN), offered(RING), refusal(404, 7003), refusal(403, 10000)):
        with pytest.raises(SealingError, match="nothing was sent"):
            sent(known, swapped)


def test_a_settings_file_in_the_directory_cannot_redirect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings file in the working directory cannot set the server, credentials, or anything about sealing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    said = (
        'url = "https://e.test"\ntoken_file = "t"\nseal = "never"\nplain_http = true\npublic_ring = "r"\ndata = "d"\n'
    )
    (tmp_path / "nightsafe.toml").write_text(f'{said}account_id = "{ACCOUNT}"\n')
    assert {} == default_map(None)["secret"]["put"] == default_map(None)["serve"]


def test_the_first_ring_is_believed(tmp_path: Path) -> None:
    """A client trusts the first ring that it sees. If a server says at first that it has no ring, the client
    believes that too.
    """
    assert FOREIGN.primary.id in sent(tmp_path / "known", offered(FOREIGN), answer(SECRET))
    assert VALUE in sent(tmp_path / "other", refusal(404, 7003), answer(SECRET))


def test_a_first_signer_is_believed(tmp_path: Path) -> None:
    """For a known ring without a signer, as older safes have, a client trusts the first signer that the server
    names.
    """
    known = tmp_path / "known"
    assert RING.primary.id in sent(known, offered(PublicRing(RING.keys, number=RING.number)), answer(SECRET))
    claimed = PublicRing(RING.keys, number=RING.number, lineage=Lineage(FOREIGN.identity.signer, ()))
    assert RING.primary.id in sent(known, offered(claimed), answer(SECRET))
    with pytest.raises(SealingError, match="not the signer known for it"):
        sent(known, offered(RING))


def test_a_ring_given_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a ring given by hand (--public-ring), a client seals to that ring and ignores the ring that the server
    offers.
    """
    RING.save(tmp_path / "ring.json")
    monkeypatch.setenv("NIGHTSAFE_PUBLIC_RING", str(tmp_path / "ring.json"))
    assert RING.primary.id in sent(tmp_path / "known", answer(SECRET))
    assert not (tmp_path / "known").exists()


def test_official_clients_do_not_seal() -> None:
    """The official clients do not seal: the API gets their values in plain text."""
    kept: list[bytes] = []

    def answered(request: httpx.Request) -> httpx.Response:
        """Record the body of the request."""
        kept.append(request.content)
        return httpx.Response(200, json={"result": SECRET, "success": True, "errors": [], "messages": []})

    with Cloudflare(api_token="any", http_client=httpx.Client(transport=httpx.MockTransport(answered))) as client:
        client.workers.scripts.secrets.update("s", account_id=ACCOUNT, name="S", text=VALUE, type="secret_text")
    assert VALUE in kept[0].decode()
