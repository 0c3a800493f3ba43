// Which scripts have something under way in this process: a request, or what goes on after its answer, be it a body, a
// WebSocket or what was given to `waitUntil`. A tail worker is told when all of that is over, so this is known only
// where scripts are traced.
const counts = new Map(); // by script and load: invocations that are not over

const keyOf = (script, load) => `${script}@${load}`;

export function begun({ script, load }) {
  const key = keyOf(script, load);
  const of = counts.get(key) ?? { script, load, count: 0 };
  of.count++;
  counts.set(key, of);
}

export function over({ script, load }) {
  const of = counts.get(keyOf(script, load));
  if (of && --of.count <= 0) counts.delete(keyOf(script, load));
}

// The isolate is gone, and with it whatever was under way.
export function gone({ script, load }) {
  counts.delete(keyOf(script, load));
}

// Pairs of script and load.
export const underWay = () => [...counts.values()].map(({ script, load }) => [script, load]);
