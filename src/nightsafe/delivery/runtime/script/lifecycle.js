// Tells the dispatcher that a script has started, and lets it end the script's isolate.
import { letBind, pending, watch } from "./wait_until.js";
import "./cache.js";
import "./cf.js";
import { WorkerEntrypoint, abortIsolate } from "cloudflare:workers";

letBind();

export class NightsafeLifecycle extends WorkerEntrypoint {
  ready() {
    watch(this.ctx);
  }

  // Returns how many promises given to `waitUntil` have not settled yet.
  pending() {
    return pending();
  }

  // Ends the isolate and all work of its script. If work is pending, does nothing and returns true, unless `now` is
  // set.
  retire(now) {
    if (pending() && !now) return true;
    abortIsolate("superseded");
  }
}

// Frozen, because a script that replaced these methods could keep its isolate alive and make the dispatcher wait for
// it.
Object.freeze(NightsafeLifecycle.prototype);
Object.freeze(NightsafeLifecycle);
