// Before any code of the script runs: each key becomes a CryptoKey that cannot be taken out, each secret of a store an
// object that gives its value when it is asked, and the raw forms go. All of that but what the runtime does by itself
// happens before the first await: a CommonJS module may run from there on, and change what built-ins do.
import { RpcTarget, env } from "cloudflare:workers";

const raw = env.__nightsafe;
delete env.__nightsafe;

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
  env[name] = new SecretsStoreSecret(value, () => new NotFound(`Secret "${secret}" not found`));
}

await Promise.all(
  raw.get("keys").map(async ({ name, format, material, algorithm, usages }) => {
    const imported = crypto.subtle.importKey(format, material, algorithm, false, usages);
    if (material instanceof Uint8Array) material.fill(0);
    env[name] = await imported;
  }),
);
