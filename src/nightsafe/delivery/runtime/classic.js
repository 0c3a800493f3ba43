// Runs a classic (service worker) script as one: in the global scope and not in strict mode, its bindings being
// globals. The runtime calls what it gave to `addEventListener`, for the main module exports no handlers.
import { env } from "cloudflare:workers";

const evaluate = eval; // called by another name than its own, it does not run code in the scope of its caller
const { Function, RangeError, SyntaxError } = globalThis; // a script may declare functions that are called so
const { defineProperty, set } = Reflect; // as may a binding be

export function run(name, source, parts) {
  for (const [binding, value] of Object.entries({ ...env, ...parts })) {
    if (binding === "__proto__") defineProperty(globalThis, binding, { value, writable: true, configurable: true });
    else set(globalThis, binding, value);
  }
  evaluate(`${plain(source)}\n//# sourceURL=${name}`);
}

// Throws what is wrong with a script, and runs none of it. A function is strict if the script is; the code that throws
// before the script begins is a script, where `return` is an error.
export function compile(source) {
  const script = plain(source);
  try {
    evaluate(`throw null;\n${script}`);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) throw error;
  }
  new Function(script);
}

// What is evaluated may not begin with `#!`, as a script may.
const plain = (source) => (source.startsWith("#!") ? `//${source}` : source);
