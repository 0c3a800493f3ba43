// How the dispatcher learns that a script has started, and ends its isolate.
import { letBind, pending, watch } from "./work.js";
import "./cache.js";
import "./cf.js";
import { WorkerEntrypoint, abortIsolate } from "cloudflare:workers";

letBind();

export class NightsafeLifecycle extends WorkerEntrypoint {
  ready() {
    watch(this.ctx);
  }

  // How many promises that were given to `waitUntil` are still to settle.
  pending() {
    return pending();
  }

  // Ends the isolate, and with it all that its script goes on with: so not while there is such work, unless at once.
  retire(now) {
    if (pending() && !now) return true;
    abortIsolate("superseded");
  }
}

// A script that put others in their place could keep its isolate, and let the dispatcher wait for it.
Object.freeze(NightsafeLifecycle.prototype);
Object.freeze(NightsafeLifecycle);
