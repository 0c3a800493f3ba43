// Counts which scripts have work under way in this process: a request, or work after its answer (a body, a WebSocket,
// or a promise given to `waitUntil`). A tail worker is told when all of it is over, so this is known only for traced
// scripts.
const counts = new Map(); // by script and load: invocations that are not over

const keyOf = (script, load) => `${script}@${load}`;

export function startInvocation({ script, load }) {
  const key = keyOf(script, load);
  const of = counts.get(key) ?? { script, load, count: 0 };
  of.count++;
  counts.set(key, of);
}

export function finishInvocation({ script, load }) {
  const of = counts.get(keyOf(script, load));
  if (of && --of.count <= 0) counts.delete(keyOf(script, load));
}

// Forgets the work of an isolate that has ended.
export function forgetIsolate({ script, load }) {
  counts.delete(keyOf(script, load));
}

// Returns pairs of script and load.
export const underWay = () => [...counts.values()].map(({ script, load }) => [script, load]);
