// Loaded scripts. An entry stands for one load; its isolate has an id that is never used again, because the runtime
// keeps a failed load for ever and never lets go of a named isolate by itself.
import { exports } from "cloudflare:workers";
import { gone } from "invocations.js";
import { pull, unpack, wipe } from "loads.js";
import { LIFECYCLE } from "names.js";
import { reasonOf } from "reasons.js";
import { beside, reporting } from "reports.js";

const FIRST_PAUSE = 1000; // milliseconds after a failed start before it is tried again; doubled each time
const LONGEST_PAUSE = 60_000;
const AT_ONCE = 16; // loads: between them the process must come to answer probes and warm requests
const MOST_ASKED = 64; // superseded isolates that wait for requests under way
const RECENT = 5_000; // milliseconds
const LONGEST_REQUEST = 900_000; // milliseconds that they wait
const LONGEST_LOAD = 30_000; // milliseconds; a load whose request was torn down never says that it is over
const MOST_FINISHING = 64; // isolates that are kept for the work that their script does after it has answered
const MOST_SAID = 1_000; // characters of what stood in the way of a start
const LONGEST_WORK = 30_000; // milliseconds of it, as on the platform
const CANNOT_OPEN = 422; // the delivery process has the load, but a value in it does not open

export class Gone extends Error {} // the load was superseded before it was handed over
export class StartFailed extends Error {}
export class Handlerless extends StartFailed {}

export class Entries {
  limit = Infinity; // of loaded scripts
  #loaded = new Set();
  #asked = new Set(); // superseded entries with requests under way, the oldest first
  #under_way = new Map(); // turns to load, with when they began
  #finishing = new Map(); // ids of isolates that end when their work is done, the oldest first: whether at once
  #clock = 0;
  #counts = { starts: 0, failures: 0, retired: 0 };

  stats() {
    return { loaded: this.#loaded.size, finishing: this.#finishing.size, ...this.#counts };
  }

  make(script, load) {
    return { script, load, attempt: 0, inflight: 0, used: 0, entered: 0, loaded: false, old: false, superseded: 0, failed: null, loading: null, told: false, id: "", handOver: null };
  }

  // A fresh entry for the same load, with isolates of its own.
  again(entry) {
    return { ...this.make(entry.script, entry.load), attempt: entry.attempt };
  }

  enter(entry) {
    entry.inflight++;
    entry.used = ++this.#clock;
    entry.entered = Date.now();
  }

  leave(env, ctx, entry) {
    entry.inflight--;
    if (!entry.superseded || entry.inflight > 0) return;
    this.#asked.delete(entry);
    this.#retire(env, ctx, entry);
  }

  // Another load has taken its place: its isolate ends with its last request. One whose client has gone away never
  // says that it is over, so isolates do not wait for that without end.
  supersede(env, ctx, entry) {
    entry.superseded = Date.now();
    if (entry.inflight === 0) return this.#retire(env, ctx, entry);
    this.#asked.add(entry);
    for (const oldest of this.#asked) {
      if (this.#asked.size <= MOST_ASKED && Date.now() - oldest.superseded < LONGEST_REQUEST) break;
      this.#asked.delete(oldest);
      this.#retire(env, ctx, oldest);
    }
  }

  // The running script. Its isolate is there, but a script may have ended it itself: then it is handed over again.
  stub(env, entry) {
    entry.handOver ??= async () => {
      const code = await fetchCode(env, entry);
      lifecycle(this.stub(env, entry)).ready().catch(() => {}).finally(() => wipe(code));
      return code;
    };
    return env.LOADER.get(entry.id, entry.handOver);
  }

  // What stands for the runtime's words when a script has no handler for a request; told once.
  handlerless(env, ctx, entry) {
    if (!entry.told) ctx.waitUntil(report(env, entry, "it has no fetch handler"));
    entry.told = true;
    return new Handlerless();
  }

  // Loads an entry once, for all requests that wait for it.
  load(env, ctx, entry) {
    if (entry.failed && Date.now() < entry.failed.until) throw new StartFailed();
    if (!entry.loading) {
      entry.loading = this.#loadNow(env, ctx, entry).finally(() => (entry.loading = null));
      ctx.waitUntil(entry.loading.catch(() => {})); // it goes on when the client that caused it goes away
    }
    return entry.loading;
  }

  async #loadNow(env, ctx, entry) {
    entry.attempt++;
    entry.id = `${entry.script}@${entry.load}.${entry.attempt}`;
    const turn = await this.#turn();
    let code;
    try {
      code = await fetchCode(env, entry);
      entry.old = isOld(code);
      await lifecycle(env.LOADER.get(entry.id, () => code)).ready();
    } catch (error) {
      if (error instanceof Gone && error.status !== CANNOT_OPEN) throw error;
      this.#counts.failures++;
      const pause = Math.min(LONGEST_PAUSE, (entry.failed?.pause ?? FIRST_PAUSE / 2) * 2);
      entry.failed = { pause, until: Date.now() + pause };
      if (!(error instanceof Gone)) await report(env, entry, reporting.output ? said(error) : reasonOf(error, code?.modules));
      throw new StartFailed();
    } finally {
      wipe(code);
      this.#under_way.delete(turn);
    }
    entry.failed = null;
    entry.loaded = true;
    this.#counts.starts++;
    this.#loaded.add(entry);
    this.#evict(env, ctx, entry);
  }

  // Waits until not too many are loading. Each waits by its own clock: nobody could be woken whose request has gone.
  async #turn() {
    for (let pause = 2; ; pause = Math.min(pause * 2, 128)) {
      for (const [turn, began] of this.#under_way) if (Date.now() - began > LONGEST_LOAD) this.#under_way.delete(turn);
      if (this.#under_way.size < AT_ONCE) {
        const turn = Symbol();
        this.#under_way.set(turn, Date.now());
        return turn;
      }
      await scheduler.wait(pause * (0.5 + Math.random()));
    }
  }

  // Lets go of whoever was idle longest once too many are loaded.
  #evict(env, ctx, newcomer) {
    if (this.#loaded.size <= this.limit) return;
    let oldest = null;
    for (const entry of this.#loaded) {
      if (entry.inflight === 0 && entry !== newcomer && (oldest === null || entry.used < oldest.used)) oldest = entry;
    }
    if (oldest) this.#retire(env, ctx, oldest);
  }

  #retire(env, ctx, entry) {
    if (!this.#loaded.delete(entry)) return;
    entry.loaded = false;
    this.#counts.retired++;
    ctx.waitUntil(this.#end(env, entry.id).finally(() => gone(entry)));
  }

  // Ends an isolate: at once, or when the work is done that its script goes on with after it has answered. The call
  // that ends it fails, for it is of that isolate; one that does not end it says that there is work left.
  async #end(env, id) {
    const isolate = lifecycle(env.LOADER.get(id, never));
    const retire = (now) => isolate.retire(now).catch(() => false);
    if (!(await retire(false))) return;
    const end = Date.now() + LONGEST_WORK;
    this.#finishing.set(id, false);
    if (this.#finishing.size > MOST_FINISHING) this.#hurry();
    let left = true;
    for (let pause = 5; left && !this.#finishing.get(id) && Date.now() < end; pause = Math.min(pause * 2, 200)) {
      await scheduler.wait(pause);
      left = await retire(false);
    }
    if (left) await retire(true);
    this.#finishing.delete(id);
  }

  // Lets the isolate that has waited longest end. Its own request sees to it: one that asked for it here would hold it.
  #hurry() {
    const oldest = [...this.#finishing.keys()].find((id) => !this.#finishing.get(id));
    this.#finishing.set(oldest, true);
  }

  // Returns once no request is under way and no script has work left that goes on after an answer.
  async settle(env) {
    const end = Date.now() + LONGEST_WORK;
    const quiet = new Map(); // entries that had nothing left, with when they were used last
    for (let pause = 5; Date.now() < end; pause = Math.min(pause * 2, 200)) {
      const busy = await Promise.all([...this.#loaded].map((entry) => this.#isBusy(env, entry, quiet)));
      if (!busy.includes(true) && this.#finishing.size === 0 && this.#under_way.size === 0) return;
      await scheduler.wait(pause);
    }
  }

  async #isBusy(env, entry, quiet) {
    // A request whose client has gone away is never over; one that is still awaited keeps the process by its connection.
    if (entry.inflight && Date.now() - entry.entered < RECENT) return true;
    const { used } = entry;
    if (quiet.get(entry) === used) return false;
    if (await lifecycle(this.stub(env, entry)).pending().catch(() => 0)) return true;
    quiet.set(entry, used);
    return false;
  }
}

const never = () => Promise.reject(new Gone());

// Whether a request has its members as properties of its own, so that `cf.js` cannot see to one of them.
const isOld = ({ compatibilityDate, compatibilityFlags }) =>
  compatibilityDate < "2022-01-31" && !compatibilityFlags.includes("workers_api_getters_setters_on_prototype");

const lifecycle = (stub) => stub.getEntrypoint(LIFECYCLE);

async function fetchCode(env, entry) {
  const response = await pull(env, `/loads/${entry.load}`, Gone);
  const code = unpack(await response.arrayBuffer(), {
    connect: (props) => exports.Service({ props }),
    keep: (name, value) => exports.StoredSecret({ props: { name, value } }),
  });
  return { ...code, ...beside(env, entry) };
}

// All that is told of an error, for an operator who wants to see what scripts print.
const said = (error) => String(error?.message).slice(0, MOST_SAID);

async function report(env, entry, reason) {
  await env.CP.fetch(`http://cp/failures/${entry.load}`, { method: "POST", body: reason }).catch(() => {});
}
