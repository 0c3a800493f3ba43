// Runs a classic (service worker) script: in the global scope and in sloppy mode, with its bindings as globals. The
// runtime calls the handlers that the script gave to `addEventListener`, because the main module exports none.
import { env } from "cloudflare:workers";

const evaluate = eval; // called under another name, it runs code in the global scope instead of its caller's
const { Function, RangeError, SyntaxError } = globalThis; // a script may declare functions with these names
const { defineProperty, set } = Reflect; // a binding may have the name `Reflect`

export function run(name, source, parts) {
  for (const [binding, value] of Object.entries({ ...env, ...parts })) {
    if (binding === "__proto__") defineProperty(globalThis, binding, { value, writable: true, configurable: true });
    else set(globalThis, binding, value);
  }
  evaluate(`${plain(source)}\n//# sourceURL=${name}`);
}

// Throws the error in a script, and runs none of it. It compiles the script twice: as code that throws before the
// script begins, where `return` is an error; and as a function, which is strict if the script is.
export function compile(source) {
  const script = plain(source);
  try {
    evaluate(`throw null;\n${script}`);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) throw error;
  }
  new Function(script);
}

// Comments out a `#!` line, which a script may begin with but evaluated code may not.
const plain = (source) => (source.startsWith("#!") ? `//${source}` : source);
