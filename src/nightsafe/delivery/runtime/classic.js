// Runs a classic (service worker) script as one: in the global scope and not in strict mode, its bindings being
// globals. The runtime calls what it gave to `addEventListener`, for the main module exports no handlers.
import { env } from "cloudflare:workers";

const evaluate = eval; // called by another name than its own, it does not run code in the scope of its caller

export function run(name, source, parts) {
  for (const [binding, value] of Object.entries({ ...env, ...parts })) Reflect.set(globalThis, binding, value);
  evaluate(`${source}\n//# sourceURL=${name}`);
}
