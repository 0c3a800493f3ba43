// Loads scripts, and ends their isolates. An entry stands for one load. Its isolate has an id that is never reused,
// because the runtime keeps a failed load for ever and never drops a named isolate by itself.
import { exports } from "cloudflare:workers";
import { forgetIsolate } from "invocations.js";
import { pull, unpack, wipe } from "loads.js";
import { LIFECYCLE } from "names.js";
import { reasonOf } from "reasons.js";
import { beside, reporting } from "reports.js";

const FIRST_PAUSE = 1000; // milliseconds between a failed start and the next attempt; doubled each time
const LONGEST_PAUSE = 60_000;
const AT_ONCE = 16; // loads at the same time; between them the process must have time for probes and warm requests
const MAX_ASKED = 64; // superseded isolates that may wait for their requests under way
const RECENT = 5_000; // milliseconds in which a request under way counts as recent
const LONGEST_REQUEST = 900_000; // milliseconds that a superseded isolate waits for its requests
const LONGEST_LOAD = 30_000; // milliseconds of a load; a load whose request was torn down never reports its end
const MAX_FINISHING = 64; // isolates that are kept for the work of their script after its answers
const MAX_SAID = 1_000; // characters of the error of a failed start
const LONGEST_WORK = 30_000; // milliseconds of work after the answers, as on the platform
const CANNOT_OPEN = 422; // status: the delivery process has the load, but a value in it does not open

export class Gone extends Error {} // a newer load replaced this one before it was handed over
export class StartFailed extends Error {}
export class Handlerless extends StartFailed {}

export class Entries {
  limit = Infinity; // the most loaded scripts
  #loaded = new Set();
  #asked = new Set(); // superseded entries with requests under way, the oldest first
  #under_way = new Map(); // by turn of a load: when it began
  #finishing = new Map(); // by id of an isolate that finishes its work, the oldest first: whether to end it now
  #clock = 0;
  #counts = { starts: 0, failures: 0, retired: 0 };

  stats() {
    return { loaded: this.#loaded.size, finishing: this.#finishing.size, ...this.#counts };
  }

  make(script, load) {
    return { script, load, attempt: 0, inflight: 0, used: 0, entered: 0, loaded: false, old: false, superseded: 0, failed: null, loading: null, told: false, id: "", handOver: null };
  }

  // Makes a fresh entry for the same load, with separate isolates.
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

  // Retires an entry that another load has replaced: its isolate ends with its last request. A request whose client
  // has gone away never reports its end, so isolates wait for a limited time only.
  supersede(env, ctx, entry) {
    entry.superseded = Date.now();
    if (entry.inflight === 0) return this.#retire(env, ctx, entry);
    this.#asked.add(entry);
    for (const oldest of this.#asked) {
      if (this.#asked.size <= MAX_ASKED && Date.now() - oldest.superseded < LONGEST_REQUEST) break;
      this.#asked.delete(oldest);
      this.#retire(env, ctx, oldest);
    }
  }

  // Returns the stub of the running script. If the script itself has ended its isolate, the code is handed over
  // again.
  stub(env, entry) {
    entry.handOver ??= async () => {
      const code = await fetchCode(env, entry);
      lifecycle(this.stub(env, entry)).ready().catch(() => {}).finally(() => wipe(code));
      return code;
    };
    return env.LOADER.get(entry.id, entry.handOver);
  }

  // Returns the error for a script without a handler for a request, in place of the runtime's; reports it once.
  handlerless(env, ctx, entry) {
    if (!entry.told) ctx.waitUntil(report(env, entry, "it has no fetch handler"));
    entry.told = true;
    return new Handlerless();
  }

  // Loads an entry once for all requests that wait for it.
  load(env, ctx, entry) {
    if (entry.failed && Date.now() < entry.failed.until) throw new StartFailed();
    if (!entry.loading) {
      entry.loading = this.#loadNow(env, ctx, entry).finally(() => (entry.loading = null));
      ctx.waitUntil(entry.loading.catch(() => {})); // it continues when the client that caused it goes away
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

  // Waits until fewer loads are under way. Each load polls by itself, because one whose request has ended cannot be
  // woken.
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

  // Retires the script that was idle longest when too many are loaded.
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
    ctx.waitUntil(this.#end(env, entry.id).finally(() => forgetIsolate(entry)));
  }

  // Ends an isolate: at once, or when its script has finished the work that follows its answers. The call that ends
  // the isolate fails, because it runs in that isolate; a call that does not end it returns that work is left.
  async #end(env, id) {
    const isolate = lifecycle(env.LOADER.get(id, never));
    const retire = (now) => isolate.retire(now).catch(() => false);
    if (!(await retire(false))) return;
    const end = Date.now() + LONGEST_WORK;
    this.#finishing.set(id, false);
    if (this.#finishing.size > MAX_FINISHING) this.#hurry();
    let left = true;
    for (let pause = 5; left && !this.#finishing.get(id) && Date.now() < end; pause = Math.min(pause * 2, 200)) {
      await scheduler.wait(pause);
      left = await retire(false);
    }
    if (left) await retire(true);
    this.#finishing.delete(id);
  }

  // Lets the isolate that has waited longest end. Its own request ends it, because a request made here would keep it
  // alive.
  #hurry() {
    const oldest = [...this.#finishing.keys()].find((id) => !this.#finishing.get(id));
    this.#finishing.set(oldest, true);
  }

  // Waits until no request is under way and no script has work left after its answers.
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
    // A request whose client has gone away never ends; one that is still awaited keeps the process alive by its
    // connection.
    if (entry.inflight && Date.now() - entry.entered < RECENT) return true;
    const { used } = entry;
    if (quiet.get(entry) === used) return false;
    if (await lifecycle(this.stub(env, entry)).pending().catch(() => 0)) return true;
    quiet.set(entry, used);
    return false;
  }
}

const never = () => Promise.reject(new Gone());

// Returns whether requests have their members as own properties, so that `cf.js` cannot replace `cf`.
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

// Returns the error's message, for an operator who wants to see what scripts print.
const said = (error) => String(error?.message).slice(0, MAX_SAID);

async function report(env, entry, reason) {
  await env.CP.fetch(`http://cp/failures/${entry.load}`, { method: "POST", body: reason }).catch(() => {});
}
