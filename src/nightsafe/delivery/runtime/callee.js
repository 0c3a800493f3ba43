// What a service binding leads to: another script, whatever is fetched from it, called on it or read of it. What that
// script answers, returns and throws goes through as it is. When it cannot be had, that is thrown.
import { RpcTarget } from "cloudflare:workers";

const MOST_CALLS = 512; // to one script at a time: scripts that call each other in a circle end here

const called = new Map(); // by script: how many calls by service bindings are under way

// Args: the instance of the dispatcher's entrypoint that is called, what it leads to, and `reach(request, use)`, which
// calls `use` with the script's stub; the request, if there is one, has a say in which version that is.
export function callee(instance, { script, entrypoint, props }, reach) {
  const target = (stub) => stub.getEntrypoint(entrypoint, props == null ? undefined : { props });
  const turn = (request, use) => counted(script, () => reach(request, (stub) => use(target(stub))));
  const fetch = (request) => turn(request, (entry) => entry.fetch(request));
  return new Proxy(instance, {
    get: (_, name) => {
      if (name === "fetch") return fetch;
      return typeof name === "symbol" ? Reflect.get(instance, name) : property(turn, [name]);
    },
  });
}

// A property that is not looked up before it is known what is wanted of it: a call, its value, or a property of its
// own. To the runtime it is an `RpcTarget`, which it reads properties of, and a function; and a promise of its value.
function property(turn, path) {
  const read = (entry) => path.reduce((found, name) => found[name], entry);
  const parent = (entry) => path.slice(0, -1).reduce((found, name) => found[name], entry);
  const call = (args) => turn(null, (entry) => parent(entry)[path.at(-1)](...args));
  return new Proxy(() => {}, {
    apply: (_, __, args) => call(args),
    get: (_, name) => {
      if (typeof name === "symbol") return undefined;
      if (name === "then") return (done, failed) => turn(null, read).then(done, failed);
      return property(turn, [...path, name]);
    },
    getPrototypeOf: () => RpcTarget.prototype,
    getOwnPropertyDescriptor: () => undefined,
  });
}

// Counts a call while it is under way, and refuses it when there are too many.
async function counted(script, call) {
  const before = called.get(script) ?? 0;
  if (before >= MOST_CALLS) throw new Error(`more than ${MOST_CALLS} calls to ${script} by service bindings are under way`);
  called.set(script, before + 1);
  try {
    return await call();
  } finally {
    const left = called.get(script) - 1;
    if (left) called.set(script, left);
    else called.delete(script);
  }
}
