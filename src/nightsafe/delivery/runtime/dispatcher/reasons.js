// Explains why a script did not start without quoting the script, because an exception of a script may contain a
// value. From an error's message it reports only fixed sentences of the runtime, and names that are visible in the
// script's code.
const STARTED = /^Failed to start Worker:\s+Uncaught (?:(Eval|Range|Reference|Syntax|Type|URI)?Error\b|DOMException\()?/;
const MISSING = /: (?:No such module "([^"\n]*)"|Module not found: ([^\s"]+))/;
const PLACE = /\n\s+(?:at|imported from) "?([^\s"]+?)(:\d+:\d+)?"?(?: in [^\n]*)?$/;
const ROOT = /^file:\/\/\/bundle\//;
const OWN = "__nightsafe/";
const EVALUATED = "worker.js"; // the runtime's name for evaluated code, such as classic scripts
const SENTENCES = [
  "Top-level await in module is unsettled",
  "Use of top-level await in a synchronously required module is restricted to promises that are resolved synchronously",
  "Disallowed operation called within global scope",
  "Unrecognized import attributes specified",
  "Main module name is not present in bundle",
  "Code generation from strings disallowed for this context",
];
const PLAIN = [
  ["Cannot initialize N7workerd3api15ExportedHandlerE", "the default export is null or undefined"],
  ["Incorrect type for map entry", "an export is no class, function or object of handlers"],
  ["Duplicate export of 'NightsafeLifecycle'", "an export called NightsafeLifecycle is Nightsafe's own"],
];
const NO_HANDLER = "Handler does not export a fetch() function.";
const LONGEST_LITERAL = 500; // characters
const MAX_LITERALS = 1000; // literals that are compared at most
const UNTOLD = "what the script threw is not told, for it may hold a value";

// Returns the reason. `modules` are the modules of the load, as far as it was built.
export function reasonOf(error, modules = {}) {
  const text = String(error?.message);
  const started = STARTED.exec(text);
  if (!started && isItsOwn(error)) return `Error: ${UNTOLD}`;
  if (!started) return text.slice(0, 200); // the runtime's own message about dates, flags or sizes
  const kind = `${started[1] ?? ""}Error`;
  const says = (sentence) => text.includes(`: ${sentence}`);
  const words = SENTENCES.find(says) ?? PLAIN.find(([sentence]) => says(sentence))?.[1] ?? missing(text, modules);
  const place = placeOf(text, modules);
  if (kind === "Error" && !words && !place) return `${kind}: ${UNTOLD}`;
  return [kind, words && `: ${words}`, place && ` at ${place}`].filter(Boolean).join("");
}

// Returns whether the error may quote the script: it was thrown in the script's isolate, where the script may have
// changed anything, or by the parser for a value that is not JSON.
const isItsOwn = (error) => error?.remote || (error instanceof SyntaxError && !error.module);

// Returns whether the runtime says that the script has no handler for requests.
export const isHandlerless = (error) => error?.message === NO_HANDLER;

// Names the missing module, but only if its name appears in the script's code. Otherwise the name may be, or contain,
// a value that the script gave to `import`, or a text that the script throws.
function missing(text, modules) {
  const found = MISSING.exec(text);
  if (!found) return undefined;
  const name = (found[1] ?? found[2]).replace(ROOT, "");
  return isWritten(name, modules) ? `No such module "${name}"` : "No such module";
}

// Returns whether the code of a module contains a whole quoted literal that resolves to a name from there.
function isWritten(name, modules) {
  const last = decode(name.slice(name.lastIndexOf("/") + 1));
  let left = MAX_LITERALS;
  for (const [from, { js, cjs }] of Object.entries(modules)) {
    for (const literal of literalsIn(js ?? cjs ?? "", last)) {
      if (leadsTo(literal, from, decode(name))) return true;
      if (--left === 0) return false;
    }
  }
  return false;
}

// Yields the quoted literals that end with a word.
function* literalsIn(code, last) {
  if (last === "") return;
  for (let at = code.indexOf(last); at >= 0; at = code.indexOf(last, at + 1)) {
    const end = at + last.length;
    if (!`"'\``.includes(code[end] ?? " ")) continue;
    const before = code.slice(Math.max(0, at - LONGEST_LITERAL), at);
    const start = before.lastIndexOf(code[end]);
    if (start >= 0) yield before.slice(start + 1) + last;
  }
}

function leadsTo(literal, from, name) {
  const path = literal.replace(ROOT, "");
  const folder = from.slice(0, from.lastIndexOf("/") + 1);
  return path === name || straight(path) === name || straight(folder + path) === name;
}

// Returns a path without `.`, `..` and empty parts.
function straight(path) {
  const parts = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

// Returns the outermost place in one of the script's modules. Lines that name no such module may be texts of the
// script.
function placeOf(text, modules) {
  for (let rest = text; ; ) {
    const found = PLACE.exec(rest);
    if (!found) return undefined;
    const called = decode(found[1].replace(ROOT, ""));
    if (!called.startsWith(OWN)) {
      const name = moduleOf(called, modules);
      return name && `${name}${found[2] ?? ""}`;
    }
    rest = rest.slice(0, found.index);
  }
}

function moduleOf(called, modules) {
  const names = Object.keys(modules);
  if (called === EVALUATED && `${OWN}classic.js` in modules) return names.find((name) => "text" in modules[name]);
  return names.find((name) => name === called || name === `./${called}` || decode(name) === called);
}

function decode(text) {
  try {
    return decodeURI(text);
  } catch {
    return text;
  }
}
