// The dispatcher: one isolate in front of every script of an account. It knows routes and loads scripts; what it
// knows is a cache of what the delivery process knows, so it may start empty at any time.
import { WorkerEntrypoint } from "cloudflare:workers";
import { Entries, Gone, StartFailed } from "entries.js";
import { pull } from "loads.js";
import { scriptOf } from "names.js";

const RETAKES = 5; // how often a request takes the route anew when its load was superseded before it began
const MOST_CALLS = 512; // by service bindings to one script at a time: scripts that call each other in a circle end here
const SCRIPT_HEADER = "nightsafe-script";
const AFFINITY_HEADER = "cloudflare-workers-version-key";

const routes = new Map(); // by script: { epoch, versions: [{ share, entry }], refusal, stale }
const called = new Map(); // by script: how many calls by service bindings are under way
const asking = new Map(); // by script: the promise of an answer that is on its way
const entries = new Entries();
let settings = null;

class Unavailable extends Error {}

export default {
  async fetch(request, env, ctx) {
    try {
      settings ??= await readSettings(env);
    } catch {
      return unavailable();
    }
    const header = settings.script_header ? request.headers.get(SCRIPT_HEADER) : null;
    if (header !== null) {
      request = new Request(request);
      request.headers.delete(SCRIPT_HEADER);
    }
    const script = header ?? scriptOf(request.url, settings);
    if (script === null) return refuse(404, "no script has this host name");
    return serve(env, ctx, script, undefined, request);
  },
};

// What a service binding of one script to another leads to. Whatever method is called on it is called on the other
// script; nothing of the dispatcher's own is within reach.
export class Service extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    const { script, entrypoint } = ctx.props;
    const fetch = (request) => counted(script, () => serve(env, ctx, script, entrypoint, request));
    const use = (name, args) => (stub) => stub.getEntrypoint(entrypoint)[name](...args);
    const call = (name) => (...args) => counted(script, () => within(env, ctx, script, null, use(name, args)));
    return new Proxy(this, {
      get: (target, name) => {
        if (name === "fetch") return fetch;
        return typeof name === "symbol" ? Reflect.get(target, name) : call(name);
      },
    });
  }
}

// What a binding to a secret of a Secrets Store is: `await env.NAME.get()`. It knows the one value and nothing else.
export class StoredSecret extends WorkerEntrypoint {
  get() {
    const { name, value } = this.ctx.props;
    if (value === null) throw new Error(`Secret "${name}" not found`);
    return value;
  }
}

// Counts a call by a service binding while it is under way, and refuses it when there are too many.
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

// The delivery process's door, on a socket of its own.
export class Admin extends WorkerEntrypoint {
  async fetch(request) {
    const path = new URL(request.url).pathname.split("/").map(decodeURIComponent);
    if (path[1] === "health") return new Response("ok");
    if (path[1] === "stats") return Response.json({ routes: routes.size, ...entries.stats() });
    if (path[1] === "routes" && request.method === "PUT") {
      adopt(this.env, this.ctx, path[2], await request.json());
      return new Response(null, { status: 204 });
    }
    return new Response(null, { status: 404 });
  }
}

async function serve(env, ctx, script, entrypoint, request) {
  try {
    const affinity = request.headers.get(AFFINITY_HEADER);
    return await within(env, ctx, script, affinity, (stub) => stub.getEntrypoint(entrypoint).fetch(request));
  } catch (error) {
    if (error instanceof Unavailable) return unavailable();
    if (error instanceof StartFailed) return refuse(500, "the script cannot be started; the delivery log says why");
    if (error.refusal) return refuse(error.refusal.status, error.refusal.message);
    throw error;
  }
}

// Calls `use` with the stub of the version that the route and the affinity choose, once it is loaded.
async function within(env, ctx, script, affinity, use) {
  for (let turn = 0; turn < RETAKES; turn++) {
    const known = routes.get(script);
    const route = known && !known.stale ? known : await ask(env, ctx, script);
    if (route.refusal) throw Object.assign(new Error(route.refusal.message), { refusal: route.refusal });
    const entry = choose(route, affinity);
    entries.enter(entry);
    try {
      if (!entry.loaded) await entries.load(env, ctx, entry);
      return await use(entries.stub(env, entry));
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      route.stale = true;
    } finally {
      entries.leave(env, ctx, entry);
    }
  }
  throw new Unavailable();
}

// The version to serve: by its percentage, always the same one for the same affinity key.
function choose(route, affinity) {
  const { versions } = route;
  if (versions.length === 1) return versions[0].entry;
  let point = affinity === null ? Math.random() * 100 : hash(affinity) * 100;
  for (const version of versions) {
    point -= version.share;
    if (point < 0) return version.entry;
  }
  return versions[versions.length - 1].entry;
}

// FNV-1a with the last step of MurmurHash3, which spreads keys that are alike; a number from 0 to below 1.
function hash(text) {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return ((value ^ (value >>> 16)) >>> 0) / 2 ** 32;
}

// Takes a route over unless a newer one is known; entries whose load stays are kept, others are retired when idle.
function adopt(env, ctx, script, told) {
  const before = routes.get(script);
  if (before && before.epoch >= told.epoch) {
    before.stale = false;
    return before;
  }
  const kept = new Map((before?.versions ?? []).map((version) => [version.entry.load, version.entry]));
  const versions = (told.versions ?? []).map(({ load, share }) => {
    const entry = kept.get(load) ?? entries.make(script, load);
    kept.delete(load);
    return { share, entry };
  });
  const route = { epoch: told.epoch, versions, refusal: told.refusal };
  routes.set(script, route);
  for (const entry of kept.values()) entries.supersede(env, ctx, entry);
  return route;
}

// Asks the delivery process for a route. Requests that come meanwhile wait for the same answer.
function ask(env, ctx, script) {
  let answer = asking.get(script);
  if (!answer) {
    answer = askNow(env, ctx, script).finally(() => asking.delete(script));
    asking.set(script, answer);
    ctx.waitUntil(answer.catch(() => {})); // so that it goes on when the client that caused it goes away
  }
  return answer;
}

async function askNow(env, ctx, script) {
  const told = await pull(env, `/routes/${encodeURIComponent(script)}`, Unavailable).then((response) => response.json());
  if (told.unknown) return { refusal: told.refusal }; // not kept: anyone can make up names
  return adopt(env, ctx, script, told);
}

async function readSettings(env) {
  const told = await (await pull(env, "/settings", Unavailable)).json();
  entries.limit = told.max_loaded;
  return told;
}

function unavailable() {
  return refuse(503, "the script cannot be had at this moment", { "retry-after": "1" });
}

function refuse(status, message, headers = {}) {
  return new Response(`${message}\n`, { status, headers: { "content-type": "text/plain", ...headers } });
}
