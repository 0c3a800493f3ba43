// A hostile module's changes to the realm that it shares with earlier code: from now on, it records every argument of a
// built-in, and every object that inherits from one. `SEEN` collects them as text, bytes as Latin-1, until a call of `STOP`.
(() => {
  const { apply, construct, defineProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;
  const DEPTH = 4;
  const BREADTH = 40;
  const { isView } = ArrayBuffer;
  const letter = String.fromCharCode;
  const each = Map.prototype.forEach;
  const Text = String;
  const seen = (globalThis.SEEN = []);
  let isBusy = false;
  globalThis.STOP = () => (isBusy = true);

  function spell(it, depth) {
    if (it === null || depth > DEPTH || typeof it === "function" || typeof it === "symbol") return "";
    if (typeof it !== "object") return Text(it);
    let all = "";
    if (isView(it)) {
      for (let at = 0; at < it.length; at++) all += letter(it[at]);
      return all;
    }
    try {
      apply(each, it, [(value, key) => (all += `${spell(key, depth + 1)} ${spell(value, depth + 1)}`)]);
    } catch {} // not a map
    const names = ownKeys(it);
    for (let at = 0; at < names.length && at < BREADTH; at++) {
      const { value } = getOwnPropertyDescriptor(it, names[at]);
      all += `${spell(value, depth + 1)} `;
    }
    return all;
  }

  // Uses neither spread nor iteration, because the built-ins behind them are patched.
  function note(it) {
    if (isBusy) return;
    isBusy = true;
    try {
      seen[seen.length] = spell(it, 0);
    } catch {}
    isBusy = false;
  }

  function noting(was) {
    return function () {
      note(this);
      note(arguments);
      return new.target ? construct(was, arguments) : apply(was, this, arguments);
    };
  }

  function patch(on) {
    const names = ownKeys(on);
    for (let at = 0; at < names.length; at++) {
      const described = getOwnPropertyDescriptor(on, names[at]);
      if (!described.configurable || names[at] === "constructor") continue;
      if (typeof described.value === "function") described.value = noting(described.value);
      else if (described.get) described.get = noting(described.get);
      else continue;
      defineProperty(on, names[at], described);
    }
  }

  const constructors = [
    Object, Function, Array, Map, Set, WeakMap, WeakSet, Promise, Object.getPrototypeOf(Uint8Array), Uint8Array,
    ArrayBuffer, DataView, String, RegExp, Error, TextDecoder, TextEncoder, Crypto, SubtleCrypto, CryptoKey,
  ];
  const others = [JSON, Reflect, Object.getPrototypeOf([].values()), Object.getPrototypeOf((async () => {})())];
  // Leaves out `get` and `set`: patching them keeps the runtime from starting any script.
  const inherited = [
    "then", "value", "writable", "kty", "k", "d", "key_ops", "use", "alg", "ext", "crv", "n",
    "p", "oth", "name", "hash", "material", "format", "usages", "keys", "stored", "lost", "0", "length", "toJSON",
  ];
  for (let at = 0; at < constructors.length; at++) {
    const one = constructors[at];
    patch(one);
    patch(one.prototype);
    defineProperty(one, Symbol.hasInstance, { __proto__: null, configurable: true, value: (it) => (note(it), false) });
    defineProperty(one, Symbol.species, { __proto__: null, configurable: true, get: noting(() => one) });
  }
  for (let at = 0; at < others.length; at++) patch(others[at]);
  for (let at = 0; at < inherited.length; at++) {
    const name = inherited[at];
    const get = function () {
      note(this);
    };
    const set = function (value) {
      note(this);
      note(value);
      defineProperty(this, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
    };
    if (getOwnPropertyDescriptor(Object.prototype, name)) continue;
    defineProperty(Object.prototype, name, { __proto__: null, configurable: true, get, set });
  }
  const was = Promise;
  defineProperty(Promise.prototype, "constructor", { __proto__: null, configurable: true, get: noting(() => was) });
  Error.prepareStackTrace = (error, frames) => {
    for (let at = 0; at < frames.length; at++) {
      note(frames[at].getThis());
      note(frames[at].getFunction()?.arguments);
    }
    return "";
  };
})();
