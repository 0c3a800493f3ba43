// Reads loads from the delivery process: a head in JSON, then the bytes that it points into.

export async function pull(env, path, Failed) {
  const response = await reach(env, path);
  if (!response) throw new Failed();
  if (response.ok) return response;
  await response.body?.cancel();
  throw Object.assign(new Failed(), { status: response.status });
}

// Returns the answer, or null when there is none. Tries again, because the socket may be overloaded for a moment.
async function reach(env, path) {
  for (let pause = 20; pause <= 320; pause *= 2) {
    try {
      return await env.CP.fetch(`http://cp${path}`);
    } catch {
      await scheduler.wait(pause);
    }
  }
  return null;
}

// Returns a load in the form that `workerLoader` takes, and wipes the buffer. `connect` makes the stub of a service
// binding, `keep` the stub of a store's secret. Text stays unchanged to the byte: `ignoreBOM` keeps the decoder from
// dropping a leading U+FEFF.
export function unpack(buffer, { connect, keep }) {
  const size = new DataView(buffer).getUint32(0);
  const text = new TextDecoder("utf-8", { ignoreBOM: true });
  const head = JSON.parse(text.decode(new Uint8Array(buffer, 4, size)));
  const bytes = ([at, length]) => new Uint8Array(buffer, 4 + size + at, length);
  const read = {
    js: (place) => ({ js: text.decode(bytes(place)) }),
    cjs: (place) => ({ cjs: text.decode(bytes(place)) }),
    text: (place) => ({ text: text.decode(bytes(place)) }),
    json: (place, name) => ({ json: parseModule(name, text.decode(bytes(place))) }),
    data: (place) => ({ data: bytes(place).slice().buffer }),
    wasm: (place) => ({ wasm: bytes(place).slice().buffer }),
  };
  const asKey = ({ place, ...key }) => ({ ...key, material: bytes(place).slice() });
  const asStored = ({ place, ...secret }) => ({ ...secret, value: place ? text.decode(bytes(place)) : null });
  const give = {
    text: ({ place }) => text.decode(bytes(place)),
    json: ({ place }) => JSON.parse(text.decode(bytes(place))),
    data: ({ place }) => bytes(place).slice().buffer,
    stored: ({ place, secret }) => keep(secret, place ? text.decode(bytes(place)) : null),
    service: ({ name, script, entrypoint, props }) => connect({ binding: name, script, entrypoint, props }),
    raw: ({ keys, stored, lost }) => rawOf(keys.map(asKey), stored.map(asStored), lost.map(given)),
  };
  const given = (item) => [item.name, give[item.kind](item)];
  try {
    return {
      compatibilityDate: head.compatibility_date,
      compatibilityFlags: head.compatibility_flags,
      mainModule: head.main_module,
      modules: Object.fromEntries(head.modules.map(({ name, kind, place }) => [name, read[kind](place, name)])),
      env: Object.fromEntries(head.env.map(given)),
    };
  } finally {
    new Uint8Array(buffer).fill(0);
  }
}

// Overwrites the key material in a load after the load is handed over.
export function wipe(code) {
  for (const { material } of code?.env.__nightsafe?.get("keys") ?? []) material.fill(0);
}

// Returns the entry of `env` that the shim removes. It is a map, because the runtime may make `process.env` before
// the shim runs, with every entry that can be written as JSON: the raw values of objects and arrays would stay there.
const rawOf = (keys, stored, lost) => new Map(Object.entries({ keys, stored, lost }));

const UNEVEN = /-0|\d[eE][+-]?\d{3}|\d{300}/; // matches texts with numbers that JSON.stringify may write differently

// Parses a JSON module. The loader writes the value as JSON again; numbers that would change by that, such as -0 and
// 1e400, stay as written.
function parseModule(name, text) {
  try {
    return UNEVEN.test(text) ? JSON.parse(text, asWritten) : JSON.parse(text);
  } catch (cause) {
    throw Object.assign(new SyntaxError(`the module ${JSON.stringify(name)} is no JSON`, { cause }), { module: name });
  }
}

function asWritten(_key, value, { source }) {
  return typeof value === "number" && JSON.stringify(value) !== source ? JSON.rawJSON(source) : value;
}
