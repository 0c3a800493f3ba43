"""A key rotation while Workers run."""

from tests.clients.cli.keys.test_keys import done, states
from tests.clients.wire.talk import Wire
from tests.live.test_stored_secrets import ASKING, Store
from tests.live.tools.running import HELLO, Run, put, secret, until, upload


def test_workers_do_not_notice_a_rotation(own: Run) -> None:
    """The delivery process reseals every value by itself; no isolate is replaced, and no value is lost.

    Once the old key is gone, a script that was not loaded before is fetched again, with records that open.
    """
    counting = b"let n = 0; export default { fetch: (_, env) => new Response(`${env.TOKEN}${++n}`) };"
    with Wire.to(own) as wire:
        store = Store(wire)
        store.make("A", "of-the-store")
        upload(wire, "warm", counting, secret("TOKEN", "warm-"))
        upload(wire, "cold", HELLO, secret("TOKEN", "cold"))
        upload(wire, "stored", ASKING, store.binding("A"))
        put(wire, "cold", "TOKEN", "colder")
        assert "warm-1" == own.workers.text("warm")
        assert [("primary", 4)] == states(own.safe)

        old = done(own.safe, "rotate")["before"]
        until(lambda: states(own.safe) == [("primary", 4), ("active", 0)], 60)

        assert "warm-2" == own.workers.text("warm")
        done(own.safe, "retire", old)
        done(own.safe, "remove", old, "--yes")
        assert "warm-3" == own.workers.text("warm")
        assert "colder" == own.workers.text("cold")
        assert "of-the-store" == own.workers.text("stored")
        put(wire, "warm", "TOKEN", "new-")
        assert "new-1" == own.workers.text("warm")
