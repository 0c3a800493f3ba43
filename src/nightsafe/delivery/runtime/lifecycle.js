// How the dispatcher learns that a script has started, and ends its isolate.
import { WorkerEntrypoint, abortIsolate } from "cloudflare:workers";

export class NightsafeLifecycle extends WorkerEntrypoint {
  ready() {}

  retire() {
    abortIsolate("superseded");
  }
}
