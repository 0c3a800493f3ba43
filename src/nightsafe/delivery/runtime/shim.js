// Before any code of the script runs: each key becomes a CryptoKey that cannot be taken out, each secret of a store an
// object that gives its value when it is asked, and the raw forms go. What the runtime would lose, for it sets what it should
// define, is put into `env`. All of that but what the runtime does by itself happens before the first await: a CommonJS
// module may run from there on, and change what built-ins do.
import { RpcTarget, env } from "cloudflare:workers";

const raw = env.__nightsafe;
delete env.__nightsafe;

const { defineProperty } = Object;
const put = (name, value) =>
  defineProperty(env, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
for (const [name, value] of raw.get("lost")) put(name, value);

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
for (const { name, secret, value } of raw.get("stored")) {
  put(name, new SecretsStoreSecret(value, () => new NotFound(`Secret "${secret}" not found`)));
}

await Promise.all(
  raw.get("keys").map(async ({ name, format, material, algorithm, usages }) => {
    const imported = crypto.subtle.importKey(format, material, algorithm, false, usages);
    if (material instanceof Uint8Array) material.fill(0);
    put(name, await imported);
  }),
);
