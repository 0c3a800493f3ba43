// The dispatcher: one isolate in front of all scripts of an account. It keeps routes and loads scripts. It only
// caches what the delivery process knows, so it may start empty at any time.
import { WorkerEntrypoint } from "cloudflare:workers";
import { withBody } from "bodies.js";
import { callee } from "callee.js";
import { CellLost, Cells, NoCell } from "cells.js";
import { Entries, Gone, Handlerless, StartFailed } from "entries.js";
import { Front, cfInit } from "front.js";
import { finishInvocation, startInvocation, underWay } from "invocations.js";
import { pull } from "loads.js";
import { SCRIPT_HEADER, scriptOf } from "names.js";
import { overrideOf } from "overrides.js";
import { outward } from "outbound.js";
import { isHandlerless } from "reasons.js";
import { isTraced, reporting, threw } from "reports.js";
import { SENT_HEADER, notStartedResponse, refusalOf, withoutNotStartedHeader } from "sent_header.js";

export { Outbound } from "outbound.js";
export { Report } from "reports.js";

const RETAKES = 5; // how often a request takes a new route when a newer load replaced its load before it started
const AFFINITY_HEADER = "cloudflare-workers-version-key";
const NO_ENTRYPOINT = "Worker has no such entrypoint";
const OVERRIDES_HEADER = "cloudflare-workers-version-overrides";

const routes = new Map(); // by script: { epoch, versions: [{ id, share, entry }], refusal, stale }
const asking = new Map(); // by script: the promise of a route that was requested
const entries = new Entries();
const cells = new Cells();
let holds = new Map(); // by script: until when it is held apart, in milliseconds since 1970, and why
let settings = null;
let front = null; // made from the settings

class Unavailable extends Error {}

class Refused extends Error {
  constructor(refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

export default {
  fetch(request, env, ctx) {
    return settings === null ? begin(request, env, ctx) : receive(request, env, ctx);
  },
};

// The entrypoint of a cell. It receives requests from the main process, which sets the script's name in a header.
export class Inner extends WorkerEntrypoint {
  async fetch(request) {
    if (settings === null && !(await isSetUp(this.env))) return refuseFor(new Unavailable());
    const why = refusalOf(request.headers, settings.started);
    if (why) return notStartedResponse(why);
    const script = request.headers.get(SCRIPT_HEADER);
    const own = new Request(request);
    own.headers.delete(SCRIPT_HEADER);
    own.headers.delete(SENT_HEADER);
    return withoutNotStartedHeader(await withBody(this.ctx, own, (passed) => serve(this.env, this.ctx, script, passed)));
  }
}

// The target of a service binding. Every method called on it is called on the other script; the caller cannot reach
// anything of the dispatcher itself.
export class Service extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    return callee(this, ctx.props, (request, use) => reach(env, ctx, ctx.props, request, use));
  }
}

// The object behind a binding to a secret of a Secrets Store: `await env.NAME.get()`. It knows only this one value.
export class StoredSecret extends WorkerEntrypoint {
  get() {
    const { name, value } = this.ctx.props;
    if (value === null) throw new Error(`Secret "${name}" not found`);
    return value;
  }
}

// The entrypoint for the delivery process, on a separate socket.
export class Admin extends WorkerEntrypoint {
  async fetch(request) {
    const path = new URL(request.url).pathname.split("/").map(decodeURIComponent);
    if (path[1] === "health") return Response.json(underWay());
    if (path[1] === "stats") return Response.json({ routes: routes.size, ...entries.stats() });
    if (path[1] === "settle") return whenDone(this.ctx, entries.settle(this.env));
    if (path[1] === "cells") return Response.json(cells.report(Number(path[2]), Number(path[3])));
    if (path[1] === "fleet" && request.method === "PUT") {
      know(await request.json());
      return new Response(null, { status: 204 });
    }
    if (path[1] === "retire" && request.method === "PUT") {
      cells.retire();
      shed(this.env, this.ctx);
      return new Response(null, { status: 204 });
    }
    if (path[1] === "shed" && request.method === "PUT") {
      shed(this.env, this.ctx);
      return new Response(null, { status: 204 });
    }
    if (path[1] === "routes" && request.method === "PUT") {
      adopt(this.env, this.ctx, path[2], await request.json());
      return new Response(null, { status: 204 });
    }
    return new Response(null, { status: 404 });
  }
}

async function begin(request, env, ctx) {
  return (await isSetUp(env)) ? receive(request, env, ctx) : refuseFor(new Unavailable());
}

// Handles a request from outside.
function receive(request, env, ctx) {
  const header = settings.script_header ? request.headers.get(SCRIPT_HEADER) : null;
  const own = front.face(request);
  if (header !== null) own.headers.delete(SCRIPT_HEADER);
  const script = header ?? scriptOf(own.url, settings);
  if (script === null) return refuse(404, "no script has this host name");
  const entry = own.body === null ? warm(env, script) : null;
  if (entry !== null) return call(env, ctx, entry, own);
  return withBody(ctx, own, (passed) => place(env, ctx, script, passed));
}

// Returns the entry for the most frequent case with the fewest checks: a script that is loaded here, in one version.
// Returns null in all other cases.
function warm(env, script) {
  const route = routeOf(script);
  if (route === null || route.outside || route.refusal || route.versions.length !== 1 || holds.size) return null;
  const { entry } = route.versions[0];
  return entry.loaded && !entry.old && cells.isAtHome(script, route) && !isTraced(env) ? entry : null;
}

async function call(env, ctx, entry, request) {
  entries.enter(entry);
  try {
    return await entries.stub(env, entry).getEntrypoint().fetch(request);
  } catch (error) {
    const explanation = explained(env, ctx, entry, request, error);
    return explanation === null ? serve(env, ctx, entry.script, request) : refuseFor(explanation);
  } finally {
    entries.leave(env, ctx, entry);
  }
}

// Handles any other request: serves it here, or hands it to the cell that its script runs in.
async function place(env, ctx, script, request) {
  try {
    const route = routeOf(script) ?? (await ask(env, ctx, script));
    if (route.outside) throw new Refused(route.outside);
    refuseHeld(script);
    if (!route.refusal && !cells.isAtHome(script, route)) {
      const response = await cells.forward(env, script, route, request);
      if (response) return response;
    }
  } catch (error) {
    return refuseFor(error instanceof CellLost ? lost(script) : error);
  }
  return serve(env, ctx, script, request);
}

// Returns the error for a script whose process has ended; by now the script may be held apart for that.
function lost(script) {
  try {
    refuseHeld(script);
  } catch (error) {
    return error;
  }
  const message = "the script's process has given no answer; the delivery log says why";
  return new Refused({ status: 503, message, headers: { "retry-after": "1" } });
}

// Refuses a script that is held apart for a while because it has taken a process down.
function refuseHeld(script) {
  const hold = holds.size ? holds.get(script) : undefined;
  const left = hold ? hold.until - Date.now() : 0;
  if (left <= 0) return;
  const headers = { "retry-after": String(Math.ceil(left / 1000)) };
  const message = `the script is held apart: ${hold.reason}; its next version is let in at once`;
  throw new Refused({ status: 503, message, headers });
}

async function serve(env, ctx, script, request) {
  try {
    return await within(env, ctx, script, request, (stub, { old }) =>
      stub.getEntrypoint().fetch(request, old ? cfInit(request) : undefined),
    );
  } catch (error) {
    return refuseFor(error);
  }
}

// Returns the answer to a client outside when a script is not available or has thrown. If the error were thrown on,
// the runtime would close the connection without an answer when the error is the loss of a connection.
function refuseFor(error) {
  const why = failure(error);
  return why === null ? refuse(500, "Internal Server Error") : refuse(why.status, why.message, why.headers);
}

// Does the same for a service binding: throws the obstacle, because an answer would look like one of the script.
async function reach(env, ctx, { binding, script }, request, use) {
  try {
    return await within(env, ctx, script, request, use);
  } catch (error) {
    const why = failure(error);
    if (why === null) throw error;
    const advice = why.status === 404 ? "; deploy it, or bind to another" : "";
    throw new Error(`The service "${script}" of the binding ${binding} cannot be called: ${why.message}${advice}`);
  }
}

// Returns why a script is not available, in the form of an answer; null for an exception of the script itself.
function failure(error) {
  if (error instanceof Refused) return error.refusal;
  if (error instanceof Handlerless) return { status: 500, message: "the script has no fetch handler" };
  if (error instanceof StartFailed) return { status: 500, message: "the script cannot be started; the delivery log says why" };
  if (!(error instanceof Unavailable || error instanceof NoCell)) return null;
  return { status: 503, message: "the script cannot be had at this moment; try again later", headers: { "retry-after": "1" } };
}

// Loads the version that the route and the request choose, and calls `use` with its stub.
async function within(env, ctx, script, request, use) {
  for (let turn = 0; turn < RETAKES; turn++) {
    const route = routeOf(script) ?? (await ask(env, ctx, script));
    refuseHeld(script);
    if (route.refusal) throw new Refused(route.refusal);
    const entry = route.versions.length === 1 ? route.versions[0].entry : choose(script, route.versions, request);
    entries.enter(entry);
    try {
      if (!entry.loaded) await entries.load(env, ctx, entry);
      const stub = entries.stub(env, entry);
      return await (isTraced(env) ? counted(stub, entry, use) : use(stub, entry));
    } catch (error) {
      const explanation = explained(env, ctx, entry, request, error);
      if (explanation !== null) throw explanation;
      route.stale = true;
    } finally {
      entries.leave(env, ctx, entry);
    }
  }
  throw new Unavailable();
}

// Reports why a script did not answer, and returns the error; null when a newer load replaced its load before it
// started.
function explained(env, ctx, entry, request, error) {
  if (isHandlerless(error)) return entries.handlerless(env, ctx, entry);
  if (error instanceof Gone) return null;
  if (!(error instanceof StartFailed) && threw(env, ctx, entry, request, error)) cells.doubt(entry.script);
  return error;
}

// Calls `use`, and counts the invocation as under way until the tail worker is told that it is over.
async function counted(stub, entry, use) {
  startInvocation(entry);
  try {
    return await use(stub, entry);
  } catch (error) {
    if (error instanceof Gone || String(error?.message).startsWith(NO_ENTRYPOINT)) finishInvocation(entry); // it never started
    throw error;
  }
}

// Returns the version that a request asks for, if it is served; or else one by percentage, always the same one for
// the same affinity key.
function choose(script, versions, request) {
  const overrides = request?.headers.get(OVERRIDES_HEADER) ?? null;
  const id = overrides === null ? null : overrideOf(overrides, script);
  const requested = id === null ? undefined : versions.find((version) => version.id === id.toLowerCase());
  if (requested) return requested.entry;
  const affinity = request?.headers.get(AFFINITY_HEADER) ?? null;
  let point = affinity === null ? Math.random() * 100 : hash(affinity) * 100;
  for (const version of versions) {
    point -= version.share;
    if (point < 0) return version.entry;
  }
  return versions.findLast(({ share }) => share > 0).entry;
}

// Returns a number from 0 to below 1: FNV-1a with the last step of MurmurHash3, which spreads similar keys.
function hash(text) {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return ((value ^ (value >>> 16)) >>> 0) / 2 ** 32;
}

// Takes over a route unless a newer one is known. Keeps entries whose load stays, and retires others when they are
// idle.
function adopt(env, ctx, script, newRoute) {
  const before = routes.get(script);
  if (before && before.epoch >= newRoute.epoch) {
    before.stale = false;
    return before;
  }
  const kept = new Map((before?.versions ?? []).map((version) => [version.entry.load, version.entry]));
  const versions = (newRoute.versions ?? []).map(({ load, id, share }) => {
    const entry = kept.get(load) ?? entries.make(script, load);
    kept.delete(load);
    return { id, share, entry };
  });
  const route = { epoch: newRoute.epoch, versions, refusal: newRoute.refusal, outside: newRoute.outside, code: newRoute.code, light: newRoute.light };
  routes.set(script, route);
  for (const entry of kept.values()) entries.supersede(env, ctx, entry);
  return route;
}

// Returns the known route of a script if it is not stale, or null.
function routeOf(script) {
  const route = routes.get(script);
  return route && !route.stale ? route : null;
}

// Drops every isolate when its requests are over: the next request loads the script again.
function shed(env, ctx) {
  cells.forget();
  for (const route of routes.values()) {
    for (const version of route.versions ?? []) {
      const { entry } = version;
      if (!entry.loaded) continue;
      version.entry = entries.again(entry);
      entries.supersede(env, ctx, entry);
    }
  }
}

// Asks the delivery process for a route. Further requests wait for the same answer.
function ask(env, ctx, script) {
  let answer = asking.get(script);
  if (!answer) {
    answer = askNow(env, ctx, script).finally(() => asking.delete(script));
    asking.set(script, answer);
    ctx.waitUntil(answer.catch(() => {})); // so that it continues when the client that caused it goes away
  }
  return answer;
}

async function askNow(env, ctx, script) {
  const answer = await pull(env, `/routes/${encodeURIComponent(script)}`, Unavailable).then((response) => response.json());
  if (answer.unknown) return { refusal: answer.refusal }; // not cached: anyone can invent names
  return adopt(env, ctx, script, answer);
}

async function isSetUp(env) {
  try {
    settings ??= await readSettings(env);
    front ??= new Front(settings.trusted_proxies);
    return true;
  } catch {
    return false;
  }
}

async function readSettings(env) {
  const answer = await (await pull(env, "/settings", Unavailable)).json();
  entries.limit = answer.max_loaded;
  Object.assign(reporting, answer.reporting);
  Object.assign(outward, { private: answer.reach_private, account: answer.account, domains: answer.domains });
  know(answer.fleet);
  return answer;
}

// Takes over the state of the cells and the scripts that are held apart.
function know(fleet) {
  holds = new Map(fleet.holds.map(({ script, ...hold }) => [script, hold]));
  cells.tell(fleet);
}

// Returns an answer that begins at once and ends when a promise settles.
function whenDone(ctx, promise) {
  const { readable, writable } = new IdentityTransformStream();
  ctx.waitUntil(promise.finally(() => writable.close()));
  return new Response(readable);
}

function refuse(status, message, headers = {}) {
  return new Response(`${message}\n`, { status, headers: { "content-type": "text/plain", ...headers } });
}
