// What a service binding leads to: another script, whatever is fetched from it, called on it or read of it. What that
// script answers, returns and throws goes through as it is. When it cannot be had, that is thrown.
//
// A name that is read of a stub is the other script's only if no object of this realm has it. One that does, such as
// `__proto__` or `__defineGetter__`, would change what the dispatcher itself runs on: it is refused. A caller that wants
// to do no harm cannot send one, for in its own realm the name means the same.
import { RpcTarget } from "cloudflare:workers";

const MOST_CALLS = 512; // to one script at a time: scripts that call each other in a circle end here

const own = new Map(); // by prototype: names
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
  const read = (entry) => path.reduce(member, entry);
  const parent = (entry) => path.slice(0, -1).reduce(member, entry);
  const call = (args) => turn(null, (entry) => calledOn(parent(entry), path.at(-1), args));
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

function member(stub, name) {
  refuseOwn(stub, name);
  return stub[name];
}

function calledOn(stub, name, args) {
  refuseOwn(stub, name);
  return stub[name](...args);
}

function refuseOwn(stub, name) {
  if (namesOf(Object.getPrototypeOf(stub)).has(name)) throw new TypeError(`${name} cannot be called or read over RPC`);
}

// What objects with a prototype have in this realm: all that is on the way up from it.
function namesOf(prototype) {
  let names = own.get(prototype);
  if (names === undefined) {
    names = new Set();
    for (let at = prototype; at !== null; at = Object.getPrototypeOf(at)) for (const name of Reflect.ownKeys(at)) names.add(name);
    own.set(prototype, names);
  }
  return names;
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
