// What a classic (service worker) script expects: its bindings as globals, and `addEventListener`.
import { env } from "cloudflare:workers";

const handlers = { fetch: [], scheduled: [] };

globalThis.addEventListener = (type, handler) => {
  handlers[type]?.push(typeof handler === "function" ? handler : (event) => handler.handleEvent(event));
};

class HandlerEvent extends Event {
  constructor(type, ctx, members) {
    super(type);
    this.waitUntil = (promise) => ctx.waitUntil(promise);
    this.passThroughOnException = () => ctx.passThroughOnException?.();
    Object.assign(this, members);
  }
}

export function bind(parts) {
  Object.assign(globalThis, env, parts);
}

export default {
  async fetch(request, _env, ctx) {
    let answer;
    const event = new HandlerEvent("fetch", ctx, { request, respondWith: (response) => (answer ??= response) });
    for (const handler of handlers.fetch) {
      handler(event);
      if (answer !== undefined) return answer;
    }
    return fetch(request);
  },

  async scheduled({ scheduledTime, cron }, _env, ctx) {
    const event = new HandlerEvent("scheduled", ctx, { scheduledTime, cron });
    await Promise.all(handlers.scheduled.map((handler) => handler(event)));
  },
};
