import { RpcTarget } from "cloudflare:workers";
class Mine extends RpcTarget { twice(x) { return 2 * x; } get value() { return "mine"; } }
const told = (error) => ({ is: error?.constructor?.name, name: error?.name, message: error?.message,
  extra: error?.extra, text: typeof error === "string" ? error : undefined, remote: error?.remote });
const kinds = async (value) => { const got = await value; return [typeof got, got?.constructor?.name]; };
const cases = {
  honey: ({ S }) => S.honey,
  nothing: ({ S }) => S.nothing,
  object: async ({ S }) => { const got = await S.object; return [got, await got.nested.call("x"), got.nested.when] },
  nested: ({ S }) => S.object.nested.list,
  nestedCall: ({ S }) => S.object.nested.call("y"),
  promised: ({ S }) => S.promised,
  counterValue: ({ S }) => S.counter.value,
  counterAdd: ({ S }) => S.counter.add(4),
  plainMethod: ({ S }) => S.plain.method(1),
  deepMethod: ({ S }) => S.plain.deep.method(),
  plainValue: ({ S }) => S.plain.value,
  failing: ({ S }) => S.failing,
  instance: ({ S }) => S.own,
  statics: ({ S }) => S.stays,
  missing: ({ S }) => S.missing,
  missingCall: ({ S }) => S.missing(),
  missingDeep: ({ S }) => S.honey.deep,
  missingDeeper: ({ S }) => S.honey.deep.er(),
  hidden: ({ S }) => S.counter.hidden,
  named: ({ S }) => S.name(),
  length: ({ S }) => S.length(3),
  get: ({ S }) => S.get,
  constructors: ({ S }) => S.constructor(),
  toStrings: async ({ S }) => [typeof S.toString, await S.hasOwnProperty("x")],
  dup: ({ S }) => kinds(S.dup?.()),
  env: ({ S }) => S.env,
  ctx: ({ S }) => S.ctx,
  symbol: async ({ S }) => [typeof S[Symbol.iterator], typeof S[Symbol.dispose], typeof S[Symbol.toStringTag]],
  then: async ({ S }) => typeof S.then,
  echo: async ({ S }) => (await S.echo(1, "two", [3], { four: new Map([[4, new Set([5])]]) }, undefined, null, 6n, NaN,
    new Uint8Array([7]), new Date(8), /nine/g, new Error("ten"))).map((one) => [String(one), one?.constructor?.name]),
  add: ({ S }) => S.add(1, 2),
  torn: ({ S }) => { const { add } = S; return add(3, 4); },
  method: async ({ S }) => { const add = await S.add; return add(5, 6); },
  methodKind: ({ S }) => kinds(S.add),
  target: async ({ S }) => { const c = await S.make(); await c.add(1); return [await c.add(2), await c.value]; },
  pipelined: ({ S }) => S.make().add(7),
  pipelinedDeep: ({ S }) => S.make().child().child().value,
  pipelinedProperty: ({ S }) => S.make().value,
  pipelinedFailure: ({ S }) => S.fails("type").more().value,
  pipelinedValue: ({ S }) => S.echo(1)[0],
  fn: async ({ S }) => { const f = await S.fn(); return [await f(1), await f(2)]; },
  callback: async ({ S }) => { let n = 0; const got = await S.callback((x) => { n += x; return n; }); return [got, n]; },
  argument: ({ S }) => S.useTarget(new Mine()),
  stubArgument: async ({ S }) => S.useTarget({ twice: (x) => 2 * x, value: "plain" }),
  passedOn: async ({ S }) => { using c = await S.make(); return S.echo(c).then(async ([same]) => same.add(9)); },
  kept: async ({ S }) => [await S.keep((x) => x + 1), await S.useKept()],
  dispose: async ({ S }) => {
    const before = (await S.how).disposed;
    { using counter = await S.make(); await counter.add(1); }
    for (let turn = 0; turn < 400 && (await S.how).disposed === before; turn++) await scheduler.wait(5);
    return (await S.how).disposed - before;
  },
  once: async ({ S }) => {
    const before = (await S.how).called;
    await S.counter.value; await S.make().add(1); await S.counter.add(1);
    return (await S.how).called - before;
  },
  afterDispose: async ({ S }) => { const c = await S.make(); c[Symbol.dispose](); return c.add(1); },
  duplicates: async ({ S }) => { const c = await S.make(); const d = c.dup(); c[Symbol.dispose](); return d.add(1); },
  own: ({ S }) => S.fails("own"),
  type: ({ S }) => S.fails("type"),
  string: ({ S }) => S.fails("string"),
  dom: ({ S }) => S.fails("dom"),
  later: ({ S }) => S.fails("later"),
  refusal: ({ S }) => S.fails("refusal"),
  unserializable: ({ S }) => S.fails("odd"),
  unserializableArgument: ({ S }) => S.echo(new (class Odd {})()),
  symbolArgument: ({ S }) => S.echo(Symbol("s")),
  props: ({ S }) => S.props(),
  stream: async ({ S }) => new Response(await S.stream()).text(),
  streamed: ({ S }) => S.read(new Response("back and forth").body),
  request: async ({ S }) => { const r = await S.request(new Request("http://x/y", { method: "PUT" })); return [r.status, await r.text()]; },
  fetch: async ({ S }) => { const r = await S.fetch("http://host/path?q", { method: "POST", body: "sent" }); return [r.status, await r.json()]; },
  fetchThrows: ({ S }) => S.fetch("http://host/throws"),
  fetchDefault: async ({ DEFAULT }) => (await DEFAULT.fetch("http://x/")).text(),
  greet: ({ DEFAULT }) => DEFAULT.greet("you"),
  greetTwo: ({ DEFAULT }) => DEFAULT.greet("you", "two"),
  defaultMissing: ({ DEFAULT }) => DEFAULT.missing(),
  many: ({ S }) => Promise.all(Array.from({ length: 50 }, (_, i) => S.add(i, 1))),
};
export default { async fetch(request, env) {
  const results = {};
  for (const [name, run] of Object.entries(cases)) {
    try { results[name] = { value: (await run(env)) ?? null }; } catch (error) { results[name] = { error: told(error) }; }
  }
  return Response.json(results);
} };
