// Outputs its value, `env.T`, in every way that a running script has: the path of a request selects the way.
import { WorkerEntrypoint } from "cloudflare:workers";
import { connect } from "cloudflare:sockets";

export class Built extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    throw new Error(env.T);
  }
}

export class Called extends WorkerEntrypoint {
  fetch(request) {
    if (new URL(request.url).pathname === "/on") return fetch(`http://${this.env.T}.invalid/`);
    throw named(this.env.T, {});
  }
  call() {
    throw named(this.env.T, {});
  }
  scheduled() {
    throw new TypeError(this.env.T);
  }
  queue() {
    throw this.env.T;
  }
}

const named = (name, { stack = `Error: ${name}\n    at ${name} (index.js:1:2)\n    at ${name}.js:1:2` }) =>
  Object.assign(new Error(name), { name, stack });

const ways = {
  throws: ({ T }) => { throw new Error(T); },
  "throws-name": ({ T }) => { throw named(T, {}); },
  "throws-text": ({ T }) => { throw T; },
  "throws-class": ({ T }) => { throw new ({ [T]: class extends Error {} })[T](T); },
  "throws-dom": ({ T }) => { throw new DOMException(T, T); },
  "throws-many": ({ T }) => { throw new AggregateError([new Error(T)], T); },
  "throws-cause": ({ T }) => { throw new Error(T, { cause: T }); },
  "calls-function": ({ T }) => ({ [T]: () => { throw new Error("x"); } })[T](),
  rejects: ({ T }) => Promise.reject(new RangeError(T)),
  "rejects-later": ({ T }, _, ctx) => (ctx.waitUntil(Promise.reject(new Error(T))), new Response("done")),
  imports: ({ T }) => import(`./${T}`),
  "imports-below": ({ T }) => import(`./${T}/index.js`),
  fetches: ({ T }) => fetch(`http://${T}.invalid/${T}`),
  "fetches-here": ({ T }) => fetch(`http://${T}.localhost/`),
  "fetches-on": ({ T }, { headers }) => {
    const on = { "cf-ray": headers.get("cf-ray"), host: `${T}.localhost` };
    return fetch(new Request(`http://${T}.localhost/`, { headers: on }));
  },
  connects: ({ T }) => connect(`${T}.invalid:80`).opened,
  "names-request": ({ T, CALLED }) => CALLED.fetch("http://called/", { headers: { "cf-ray": T } }),
  "names-request-on": ({ T, CALLED }) => CALLED.fetch("http://called/on", { headers: { "cf-ray": T } }),
  calls: ({ CALLED }) => CALLED.call(),
  "calls-scheduled": ({ CALLED }) => CALLED.scheduled(),
  "calls-queue": ({ CALLED }) => CALLED.queue(),
  "calls-name": ({ T, CALLED }) => CALLED[T](),
  "calls-built": ({ BUILT }) => BUILT.call(),
  "calls-what-cannot-be-cloned": ({ T, CALLED }) => CALLED.call(Symbol(T)),
  "answers-no-response": ({ T }) => T,
  "answers-header": ({ T }) => new Response("", { headers: { "no header": T } }),
  "answers-broken": ({ T }) => new Response(new ReadableStream({ pull() { throw new Error(T); } })),
  prints: ({ T }) => (console.log(T), console.error(T), new Response("done")),
  "numbers-request": ({ CALLED }) => CALLED.fetch("http://called/", { headers: { "cf-ray": "4711471147114711-LOCAL" } }),
  numbers: ({ CALLED }) => {
    throw named("Error", { stack: "Error\n    at index.js:4711:42" });
  },
};

export default {
  fetch: (request, env, ctx) => {
    const { pathname } = new URL(request.url);
    return pathname === "/" ? Response.json(Object.keys(ways)) : ways[pathname.slice(1)](env, request, ctx);
  },
};
