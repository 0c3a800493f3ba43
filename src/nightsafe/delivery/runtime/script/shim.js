// Prepares `env` before any code of the script runs. Each key becomes a CryptoKey that cannot be extracted, each
// secret of a store becomes an object with a `get` method, and the raw forms are removed. A binding that the runtime
// would lose, because it assigns the property instead of defining it, is put into `env`.
//
// A CommonJS module may run as soon as this module waits, and may change built-ins: methods, iterators, `instanceof`,
// and what every object inherits. So all imports of keys start before the first `await`. By then no key material is
// in reach: buffers are wiped, and nothing refers to material that cannot be wiped, such as the strings of a JWK.
// After the first `await`, only `put` is called.
import { RpcTarget, env } from "cloudflare:workers";

const { defineProperty } = Object;
const put = (name, value) =>
  defineProperty(env, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });

// A secret that the script can pass on to other scripts: as an `RpcTarget`, it reaches them as a stub with only
// `get`.
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

// Starts the import of a key. The runtime reads the material of any format before `importKey` returns.
function begin({ name, format, material, algorithm, usages }) {
  try {
    const keyData = format === "jwk" ? JSON.parse(new TextDecoder().decode(material)) : material;
    return { name, key: crypto.subtle.importKey(format, keyData, algorithm, false, usages) };
  } finally {
    material.fill(0);
  }
}

// Returns promises of keys with their names. After it returns, no raw form is in reach.
function take() {
  const raw = env.__nightsafe;
  delete env.__nightsafe;
  for (const [name, value] of raw.get("lost")) put(name, value);
  for (const secret of raw.get("stored")) keep(secret);
  return raw.get("keys").map(begin);
}

await Promise.all(take().map(async ({ name, key }) => put(name, await key)));
