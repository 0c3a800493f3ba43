// Before any code of the script runs: each key becomes a CryptoKey that cannot be taken out, each secret of a store an
// object that gives its value when it is asked, and the raw forms go. What the runtime would lose, for it sets what it should
// define, is put into `env`.
//
// A CommonJS module may run as soon as this one waits, and change what built-ins do: methods, iterators, `instanceof`, what
// every object inherits. So all imports begin before the first `await`, and what is left then is no material: the buffers
// are wiped, and nothing leads to what cannot be, such as the strings of a JWK. After it, only `put` is called.
import { RpcTarget, env } from "cloudflare:workers";

const { defineProperty } = Object;
const put = (name, value) =>
  defineProperty(env, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });

// A class of the runtime's for what is passed on to other scripts: they get a stub, with `get` and nothing else.
class SecretsStoreSecret extends RpcTarget {
  #value;
  #missing;

  constructor(value, missing) {
    super();
    this.#value = value;
    this.#missing = missing;
  }

  async get() {
    if (this.#value === null) throw this.#missing();
    return this.#value;
  }
}

const NotFound = Error;

function keep({ name, secret, value }) {
  put(name, new SecretsStoreSecret(value, () => new NotFound(`Secret "${secret}" not found`)));
}

// The runtime reads the material before `importKey` returns, whatever it is.
function begin({ name, format, material, algorithm, usages }) {
  try {
    const given = format === "jwk" ? JSON.parse(new TextDecoder().decode(material)) : material;
    return { name, key: crypto.subtle.importKey(format, given, algorithm, false, usages) };
  } finally {
    material.fill(0);
  }
}

// Gives promises of keys, by name. Nothing of the raw forms is in reach once it has returned.
function take() {
  const raw = env.__nightsafe;
  delete env.__nightsafe;
  for (const [name, value] of raw.get("lost")) put(name, value);
  for (const secret of raw.get("stored")) keep(secret);
  return raw.get("keys").map(begin);
}

await Promise.all(take().map(async ({ name, key }) => put(name, await key)));
