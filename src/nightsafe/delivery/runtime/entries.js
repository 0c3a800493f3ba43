// Loaded scripts. An entry stands for one load; its isolate has an id that is never used again, because the runtime
// keeps a failed load for ever and never lets go of a named isolate by itself.
import { exports } from "cloudflare:workers";
import { pull, unpack } from "loads.js";
import { LIFECYCLE } from "names.js";
import { reasonOf } from "reasons.js";

const FIRST_PAUSE = 1000; // milliseconds after a failed start before it is tried again; doubled each time
const LONGEST_PAUSE = 60_000;
const AT_ONCE = 16; // loads: between them the process must come to answer probes and warm requests
const LONGEST_LOAD = 30_000; // milliseconds; a load whose request was torn down never says that it is over
const CANNOT_OPEN = 422; // the delivery process has the load, but a value in it does not open

export class Gone extends Error {} // the load was superseded before it was handed over
export class StartFailed extends Error {}

export class Entries {
  limit = Infinity; // of loaded scripts
  #loaded = new Set();
  #under_way = new Map(); // turns to load, with when they began
  #clock = 0;
  #counts = { starts: 0, failures: 0, retired: 0 };

  stats() {
    return { loaded: this.#loaded.size, ...this.#counts };
  }

  make(script, load) {
    return { script, load, attempt: 0, inflight: 0, used: 0, loaded: false, superseded: false, failed: null, loading: null };
  }

  enter(entry) {
    entry.inflight++;
    entry.used = ++this.#clock;
  }

  leave(env, ctx, entry) {
    entry.inflight--;
    if (entry.superseded && entry.inflight === 0) this.#retire(env, ctx, entry);
  }

  supersede(env, ctx, entry) {
    entry.superseded = true;
    if (entry.inflight === 0) this.#retire(env, ctx, entry);
  }

  // The running script. Its isolate is there, but a script may have ended it itself: then it is handed over again.
  stub(env, entry) {
    return env.LOADER.get(idOf(entry), () => fetchCode(env, entry));
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
    const turn = await this.#turn();
    try {
      const code = await fetchCode(env, entry);
      await lifecycle(env.LOADER.get(idOf(entry), () => code)).ready();
    } catch (error) {
      if (error instanceof Gone && error.status !== CANNOT_OPEN) throw error;
      this.#counts.failures++;
      const pause = Math.min(LONGEST_PAUSE, (entry.failed?.pause ?? FIRST_PAUSE / 2) * 2);
      entry.failed = { pause, until: Date.now() + pause };
      if (!(error instanceof Gone)) await report(env, entry, error);
      throw new StartFailed();
    } finally {
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
    ctx.waitUntil(lifecycle(env.LOADER.get(idOf(entry), never)).retire().catch(() => {}));
  }
}

const never = () => Promise.reject(new Gone());

const idOf = (entry) => `${entry.script}@${entry.load}.${entry.attempt}`;
const lifecycle = (stub) => stub.getEntrypoint(LIFECYCLE);

async function fetchCode(env, entry) {
  const response = await pull(env, `/loads/${entry.load}`, Gone);
  return unpack(await response.arrayBuffer(), {
    connect: (script, entrypoint) => exports.Service({ props: { script, entrypoint } }),
    keep: (name, value) => exports.StoredSecret({ props: { name, value } }),
  });
}

async function report(env, entry, error) {
  await env.CP.fetch(`http://cp/failures/${entry.load}`, { method: "POST", body: reasonOf(error) }).catch(() => {});
}
