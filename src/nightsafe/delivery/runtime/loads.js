// What the delivery process hands over: a head in JSON, then the bytes that it points into.

export async function pull(env, path, Failed) {
  const response = await reach(env, path);
  if (!response) throw new Failed();
  if (response.ok) return response;
  await response.body?.cancel();
  throw Object.assign(new Failed(), { status: response.status });
}

// The answer, or null when none can be had: a socket that is overrun for a moment is tried again.
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

// A load as `workerLoader` takes it. `connect` makes the stub of a service binding, `keep` that of a store's secret.
export function unpack(buffer, { connect, keep }) {
  const size = new DataView(buffer).getUint32(0);
  const text = new TextDecoder("utf-8", { ignoreBOM: false });
  const head = JSON.parse(text.decode(new Uint8Array(buffer, 4, size)));
  const bytes = ([at, length]) => new Uint8Array(buffer, 4 + size + at, length);
  const read = {
    js: (place) => ({ js: text.decode(bytes(place)) }),
    cjs: (place) => ({ cjs: text.decode(bytes(place)) }),
    text: (place) => ({ text: text.decode(bytes(place)) }),
    json: (place) => ({ json: JSON.parse(text.decode(bytes(place))) }),
    data: (place) => ({ data: bytes(place).slice().buffer }),
    wasm: (place) => ({ wasm: bytes(place).slice().buffer }),
  };
  const give = {
    text: ({ place }) => text.decode(bytes(place)),
    json: ({ place }) => JSON.parse(text.decode(bytes(place))),
    data: ({ place }) => bytes(place).slice().buffer,
    stored: ({ place, secret }) => keep(secret, place ? text.decode(bytes(place)) : null),
    service: ({ script, entrypoint }) => connect(script, entrypoint),
    keys: ({ keys }) =>
      keys.map(({ place, ...key }) => ({
        ...key,
        material: key.format === "jwk" ? JSON.parse(text.decode(bytes(place))) : bytes(place).slice(),
      })),
  };
  return {
    compatibilityDate: head.compatibility_date,
    compatibilityFlags: head.compatibility_flags,
    mainModule: head.main_module,
    modules: Object.fromEntries(head.modules.map(({ name, kind, place }) => [name, read[kind](place)])),
    env: Object.fromEntries(head.env.map((item) => [item.name, give[item.kind](item)])),
  };
}
