"""Code that is uploaded for a script may use the script's keys, and does not get to see them."""

import base64
import secrets

from tests.clients.wire.talk import SCRIPTS, Wire
from tests.live.tools.running import DATE, HELLO, Run, upload
from tests.unit.api.tools.driver import File, form, form_type
from tests.unit.api.tools.uploads import metadata

MAIN = b"""import "./e.cjs"; import { env } from "cloudflare:workers";
export default{fetch(){return new Response(JSON.stringify([L, String(env.RAW) + env.JWK, env.RAW.extractable]))}}"""
COMMON = b"""globalThis.L=[];
Object.defineProperty(Uint8Array,Symbol.hasInstance,
  {value:x=>{L.push(x.kty?JSON.stringify(x):String.fromCharCode(...x));return false}});
const note=(on,name)=>{const was=on[name];on[name]=function(...all){
  L.push(String(this)+String.fromCharCode(...(this.length?this:[]))+JSON.stringify(all));return was.apply(this,all)}};
note(Object.getPrototypeOf(Uint8Array.prototype),"fill");note(SubtleCrypto.prototype,"importKey");"""


def test_code_that_keeps_bindings_sees_no_key(live: Run, wire: Wire) -> None:
    """With `keep_bindings`, a part that patches what Nightsafe's code may use next is called with nothing."""
    raw = secrets.token_bytes(32)
    encoded = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    key = {"type": "secret_key", "algorithm": {"name": "HMAC", "hash": "SHA-256"}, "usages": ["sign"]}
    keys = [
        {**key, "name": "RAW", "format": "raw", "key_base64": base64.b64encode(raw).decode()},
        {**key, "name": "JWK", "format": "jwk", "key_jwk": {"kty": "oct", "k": encoded}},
    ]
    upload(wire, "taken", HELLO, *keys)
    told = {"main_module": "worker.js", "keep_bindings": ["secret_key"], "compatibility_date": DATE}
    body = form(metadata(told), File("worker.js", MAIN), File("e.cjs", COMMON, content_type="application/javascript"))
    answer = wire.ask(
        "PUT", f"{SCRIPTS}/taken", body, [(name.decode(), value.decode()) for name, value in [form_type()]]
    )

    assert 200 == answer.status, answer.body
    assert '[[],"[object CryptoKey][object CryptoKey]",false]' == live.workers.text("taken")
