// Why a script did not start, without its own words: what a script throws may hold a value.
const STARTED = /^Failed to start Worker:\s+Uncaught (?:(Eval|Range|Reference|Syntax|Type|URI)?Error\b|DOMException\((\w+)\))?/;
const HARMLESS = /: (No such module "[^"\n]*"|Top-level await in module is unsettled)/;
const PLACE = /\n\s+(?:at|imported from) ("?[^\s"]+"?)\s*$/;

export function reasonOf(error) {
  const text = String(error?.message);
  const started = STARTED.exec(text);
  if (!started) return text.slice(0, 200); // the runtime's words about dates, flags and sizes
  const kind = started[2] ?? `${started[1] ?? ""}Error`;
  const words = kind === "Error" ? HARMLESS.exec(text)?.[1] : undefined;
  const place = PLACE.exec(text)?.[1];
  return [kind, words && `: ${words}`, place && ` at ${place}`].filter(Boolean).join("");
}
