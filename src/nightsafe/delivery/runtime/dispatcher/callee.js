// Forwards a service binding to its target script: fetches, calls, and reads of properties. The target's answers,
// results and exceptions pass through unchanged. If the target is not available, that is thrown.
//
// A property of a stub leads to the other script only if no object of this realm has a property of that name. A name
// that this realm has, such as `__proto__` or `__defineGetter__`, would change objects of the dispatcher itself, so
// it is refused. A well-meant caller cannot send such a name, because it has the same meaning in the caller's own
// realm.
import { RpcTarget } from "cloudflare:workers";

const MAX_CALLS = 512; // to one script at a time: stops scripts that call each other in a circle

const own = new Map(); // by prototype: names
const called = new Map(); // by script: how many calls by service bindings are under way

// Args: the instance of the dispatcher's entrypoint that is called, its target, and `reach(request, use)`, which
// calls `use` with the script's stub. The request, if there is one, influences the choice of the version.
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

// Returns a property that is looked up only when its use is known: a call, its value, or one of its own properties.
// The runtime sees an `RpcTarget`, whose properties it reads, and a function; it also sees a promise of the value.
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

// Returns the names that objects with this prototype have in this realm, from the whole prototype chain.
function namesOf(prototype) {
  let names = own.get(prototype);
  if (names === undefined) {
    names = new Set();
    for (let at = prototype; at !== null; at = Object.getPrototypeOf(at)) for (const name of Reflect.ownKeys(at)) names.add(name);
    own.set(prototype, names);
  }
  return names;
}

// Counts a call while it is under way, and refuses it when too many are.
async function counted(script, call) {
  const before = called.get(script) ?? 0;
  if (before >= MAX_CALLS) throw new Error(`more than ${MAX_CALLS} calls to ${script} by service bindings are under way`);
  called.set(script, before + 1);
  try {
    return await call();
  } finally {
    const left = called.get(script) - 1;
    if (left) called.set(script, left);
    else called.delete(script);
  }
}
