// Sends out a script's own requests, for two reasons. Its errors name the host and the reason, which the runtime's do
// not. And it stops requests without an answer: when a classic script does not respond, or throws after
// `passThroughOnException`, the runtime sends the request on to the URL's host. On the platform that reaches the
// origin; here it would reach the script again.
import { WorkerEntrypoint } from "cloudflare:workers";
import { scriptOf } from "names.js";
import { cut, send } from "reports.js";

// The operator's settings: whether scripts may reach this machine and private networks, and the scripts' host names.
export const outward = { private: false, account: "", domains: [] };

export class Outbound extends WorkerEntrypoint {
  async fetch(request) {
    if (isHandedOn(request)) return this.#unanswered(request);
    try {
      return await fetch(request);
    } catch (error) {
      if (!String(error?.message).startsWith("internal error")) throw error;
      const { host, hostname } = new URL(request.url);
      const reason = why(hostname);
      this.#tell({ refused: cut(host), reason });
      throw new Error(`${host} cannot be reached: ${reason}`);
    }
  }

  #unanswered({ headers, url }) {
    this.#tell({ request: headers.get("cf-ray"), unanswered: cut(new URL(url).host) });
    const message = "the script has not answered this request, and there is no origin behind it that could";
    return new Response(`${message}\n`, { status: 500, headers: { "content-type": "text/plain" } });
  }

  #tell(report) {
    this.ctx.waitUntil(send(this.env, { ...this.ctx.props, ...report }));
  }
}

// Returns whether this is a request that a script received and passed on: it has a request id, and its host is a
// script's and the one that the request came for.
function isHandedOn({ headers, url }) {
  if (!headers.has("cf-ray") || scriptOf(url, outward) === null) return false;
  return new URL(url).host === headers.get("host");
}

function why(hostname) {
  if (outward.private) return "its name leads nowhere, or nothing answers there";
  const refused = "private addresses and those of this machine are refused unless --reach names them";
  const isAddress = /^\[|^[\d.]+$|(^|\.)localhost$/.test(hostname);
  return isAddress ? refused : `its name leads to no public address: ${refused}`;
}
