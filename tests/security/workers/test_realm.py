"""Attacks by a script on its own keys: it changes the realm that it shares with our code, to see key material."""

from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.delivery.keys import AnyPrivate, Fields, binding, private_forms, public_forms, symmetric_forms
from tests.delivery.runtime import JS, Runtime

from nightsafe.bundle.runtime_flags import NEWEST_DATE

CJS: Final = "application/javascript"
DATES: Final = {
    "2021-11-02": {"module", "classic"},
    "2026-04-01": None,
    NEWEST_DATE: None,
}  # the scripts to run at each date; None is all
PATCHES: Final = (Path(__file__).parent / "patches.js").read_bytes()
MATERIAL: Final = bytes(range(0xC1, 0xE1))
Files = Mapping[str, tuple[str, bytes]]
PAIRS: Final[Mapping[str, tuple[AnyPrivate, Fields, list[str], list[str]]]] = {
    "RSA": (rsa.generate_private_key(65537, 2048), {"name": "RSA-PSS", "hash": "SHA-256"}, ["sign"], ["verify"]),
    "OAEP": (rsa.generate_private_key(65537, 2048), {"name": "RSA-OAEP", "hash": "SHA-1"}, ["decrypt"], ["encrypt"]),
    "EC": (ec.generate_private_key(ec.SECP256R1()), {"name": "ECDSA", "namedCurve": "P-256"}, ["sign"], ["verify"]),
    "ECDH": (ec.generate_private_key(ec.SECP384R1()), {"name": "ECDH", "namedCurve": "P-384"}, ["deriveBits"], []),
    "ED": (Ed25519PrivateKey.generate(), {"name": "Ed25519"}, ["sign"], ["verify"]),
    "X": (X25519PrivateKey.generate(), {"name": "X25519"}, ["deriveBits"], []),
}
SYMMETRIC: Final = {
    "HMAC": ({"name": "HMAC", "hash": "SHA-256"}, "sign"),
    "GCM": ({"name": "AES-GCM"}, "encrypt"),
    "KW": ({"name": "AES-KW"}, "wrapKey"),
}
DERIVED: Final = {"HKDF": {"name": "HKDF"}, "PBKDF2": {"name": "PBKDF2"}}

# Collects what the script can find, and answers with it although the built-ins are patched.
LOOK: Final = b"""
const stringify = JSON.stringify, keys = Object.getOwnPropertyNames, { exportKey } = SubtleCrypto.prototype;
const { apply } = Reflect, { subtle } = crypto;
const FORMATS = ["raw", "jwk", "pkcs8", "spki"];
async function look(...all) {
  new TextDecoder().decode(new TextEncoder().encode("canary"));
  globalThis.STOP();
  const taken = [], usable = [];
  for (const env of all) {
    const raw = env?.__nightsafe;
    if (raw !== undefined) taken.push(raw);
    for (const name of env ? keys(env) : []) {
      if (env[name]?.extractable === false) usable.push(name);
      for (const format of FORMATS) {
        try { taken.push(await apply(exportKey, subtle, [format, env[name]])); } catch {}
      }
    }
  }
  const environ = typeof process === "undefined" ? "" : stringify(process.env);
  return new Response(stringify({ seen: globalThis.SEEN, early: globalThis.EARLY, taken, usable, environ }));
}
"""
EARLY: Final = b"""
globalThis.EARLY = [];
for (const name of ["cloudflare:workers", "/__nightsafe/shim.js", "file:///bundle/__nightsafe/shim.js"]) {
  try {
    const found = require(name);
    const env = found?.env ?? found?.default?.env;
    EARLY.push(String(env?.__nightsafe));
  } catch {}
}
"""
IMPORTS: Final = b'import { env as imported } from "cloudflare:workers";\n'
ANSWER: Final = b"export default { fetch: (request, env) => look(env, imported) };"
MODULE: Final = IMPORTS + LOOK + ANSWER
COMMON: Final = LOOK + b"module.exports = { fetch: (request, env) => look(env) };"
ENTRYPOINT: Final = (
    b'import "./e.cjs";\nimport { WorkerEntrypoint, env as imported } from "cloudflare:workers";\n'
    + LOOK
    + b"export default class extends WorkerEntrypoint { fetch() { return look(this.env, imported, this.ctx.env); } }"
)
ORDER: Final = b"""
import "./data.bin"; import "./text.txt"; import "./data.json"; import "./wasm.wasm";
import "./e.cjs"; import "./late.js";
"""
NODE: Final = """
import { KeyObject, createPrivateKey, createSecretKey } from "node:crypto";
export default { async fetch(request, env) {
  const taken = [];
  for (const [name, key] of Object.entries(env)) {
    const made = () => KeyObject.from(key);
    const tries = [
      () => made().export(), () => made().export({ format: "jwk" }), () => createSecretKey(key).export(),
      () => made().export({ format: "der", type: "pkcs8" }), () => made().export({ format: "der", type: "spki" }),
      () => createPrivateKey({ key: made(), format: "jwk" }).export({ format: "jwk" }),
      () => made().toCryptoKey(key.algorithm, true, key.usages), () => structuredClone(key),
    ];
    for (const each of tries) try { await each(); taken.push(`${name} ${each}`); } catch {}
  }
  return Response.json(taken);
} };"""
PART: Final = (CJS, EARLY + PATCHES)
INERT: Final = {
    "data.bin": ("application/octet-stream", b"\0"),
    "text.txt": ("text/plain", b"text"),
    "data.json": ("application/json", b"{}"),
    "wasm.wasm": ("application/wasm", b"\0asm\1\0\0\0"),
}
SCRIPTS: Final[Mapping[str, Files]] = {
    "module": {"index.js": (JS, b'import "./e.cjs";\n' + MODULE), "e.cjs": PART},
    "entrypoint": {"index.js": (JS, ENTRYPOINT), "e.cjs": PART},
    "every part": {"index.js": (JS, ORDER + MODULE), "late.js": (JS, b'import "./e.cjs";'), "e.cjs": PART, **INERT},
    "through a module": {
        "index.js": (JS, b'import "./first.js";\n' + MODULE),
        "first.js": (JS, b'import "./e.cjs";\nawait null;'),
        "e.cjs": PART,
    },
    "common": {"index.cjs": (CJS, LOOK + b'require("./e.cjs");' + COMMON[len(LOOK) :]), "e.cjs": PART},
    "classic": {
        "index.js": (
            CJS,
            LOOK + PATCHES + b'addEventListener("fetch", (event) => event.respondWith(look(globalThis)));',
        )
    },
    "common alone": {"index.cjs": (CJS, LOOK + EARLY + PATCHES + COMMON[len(LOOK) :])},
}


def keys() -> list[Fields]:
    """Return bindings with a key of every kind, in every format."""
    made = [
        binding(f"{name}_{form}", fields, algorithm, usage)
        for name, (algorithm, usage) in SYMMETRIC.items()
        for form, fields in symmetric_forms(MATERIAL)
    ]
    for name, algorithm in DERIVED.items():
        made.append(binding(name, dict(symmetric_forms(MATERIAL))["raw"], algorithm, "deriveBits"))
    for name, (pair, algorithm, own, public) in PAIRS.items():
        made += [binding(f"{name}_{form}", fields, algorithm, *own) for form, fields in private_forms(pair)]
        made += [binding(f"{name}_public_{form}", fields, algorithm, *public) for form, fields in public_forms(pair)]
    return made


def material_of(key: Fields) -> list[str]:
    """Return the material of a key that a script must not see, in the spellings that the scripts use."""
    if "key_jwk" in key:
        return [value for name, value in key["key_jwk"].items() if name in {"k", "d", "n", "x"}]
    data = b64decode(key["key_base64"])
    return [data.decode("latin-1"), ",".join(map(str, data))]


async def wrong_in(runtime: Runtime, given: list[Fields], files: Files, **members: Any) -> list[str]:
    """Serve a hostile script with keys; return everything that is wrong with its findings."""
    await runtime.upload("hostile", files, given, **members)
    answer = await runtime.get("hostile")
    if not answer.is_success:
        return [answer.text]
    found = answer.json()
    told = "".join([*found["seen"], answer.text])
    wrong = [key["name"] for key in given if any(one in told for one in material_of(key))]
    if "canary" not in told or found["taken"] or {key["name"] for key in given} != set(found["usable"]):
        wrong.append(f"taken {found['taken']}, usable {found['usable']}, seen {len(found['seen'])}")
    return wrong + [one for one in found.get("early", ()) if one != "undefined"]


async def test_a_key_does_not_come_out() -> None:
    """A script gets a key as a `CryptoKey` that cannot be exported, and its code never gets the raw form."""
    given, wrong = keys(), []
    with TemporaryDirectory(prefix="ns-") as folder:
        async with Runtime(Path(folder)) as runtime:
            for date, tried in DATES.items():
                for name, files in SCRIPTS.items():
                    if tried and name not in tried:
                        continue
                    own: Any = {"compatibility_date": date, "classic": name == "classic"}
                    wrong += [(date, name, one) for one in await wrong_in(runtime, given, files, **own)]
            await runtime.upload("node", NODE, given, compatibility_flags=("nodejs_compat",))
            wrong += [("", "node", one) for one in (await runtime.get("node")).json()]
            for name, part in INERT.items():
                await runtime.upload("hostile", {name: part, "e.cjs": PART}, given)
                answer = await runtime.get("hostile")
                wrong += [("", name, answer.text)] if answer.is_success else []

    assert [] == wrong
