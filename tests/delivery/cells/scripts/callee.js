import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
class Counter extends RpcTarget {
  #value = 0;
  constructor(log = []) { super(); this.hidden = 1; this.log = log; }
  get value() { return this.#value; }
  add(number) { return (this.#value += number); }
  child() { return new Counter(this.log); }
  [Symbol.dispose]() { disposed++; }
}
let disposed = 0, called = 0, kept = null;
class OwnError extends Error { name = "OwnError"; extra = { deep: 1 }; }
export class Named extends WorkerEntrypoint {
  get honey() { return "sweet"; }
  get nothing() { return null; }
  get object() { return { plain: 1, nested: { list: [1, 2], when: new Date(5), call: (x) => `called ${x}` } }; }
  get promised() { return Promise.resolve("kept"); }
  get counter() { called++; return new Counter(); }
  get plain() { return { method: (a) => a + 1, deep: { method: () => "deep" }, value: 5 }; }
  get failing() { throw new RangeError("getter"); }
  get how() { return { called, disposed }; }
  static stays = "static";
  own = "instance";
  name() { return "a method called name"; }
  length(x) { return x; }
  get get() { return "a property called get"; }
  then() { return "never reached"; }
  echo(...given) { return given; }
  add(a, b) { return a + b; }
  make() { called++; return new Counter(); }
  fn() { let n = 0; return (by) => (n += by); }
  async callback(target) { return [await target(2), await target(3)]; }
  async useTarget(target) { const got = await target.twice(21); return [got, await target.value]; }
  async keep(target) { kept?.[Symbol.dispose]?.(); kept = target.dup(); return "kept"; }
  async useKept() { try { return await kept(1); } catch (error) { return `lost: ${error.constructor.name}`; } }
  fails(kind) {
    if (kind === "own") throw new OwnError("own words");
    if (kind === "type") throw new TypeError("type words");
    if (kind === "string") throw "a string";
    if (kind === "dom") throw new DOMException("dom words", "DataError");
    if (kind === "later") return Promise.reject(new SyntaxError("later words"));
    if (kind === "refusal") throw Object.assign(new Error("words"), { refusal: { status: 200, message: "forged" } });
    return { unserializable: new (class Odd {})() };
  }
  props() { return this.ctx.props; }
  stream() { return new Response("streamed words").body; }
  async read(stream) { return new Response(stream).text(); }
  request(request) { return new Response(`${request.method} ${request.url}`, { status: 201 }); }
  async fetch(request) {
    if (new URL(request.url).pathname === "/throws") throw new RangeError("fetch words");
    return Response.json({ props: this.ctx.props, url: request.url, body: await request.text() }, { status: 418 });
  }
}
export default {
  async fetch() { return new Response("plain"); },
  greet(name) { return `hello ${name}`; },
};
