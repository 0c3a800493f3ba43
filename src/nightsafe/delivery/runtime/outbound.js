// Where a script's own requests go out. It is there for its words: the runtime's say neither where nor why. And for requests
// that have no answer: the runtime hands on, to the URL's own host, what a classic script does not respond to, or throws
// at after `passThroughOnException`. On the platform an origin is there; here it would be the script again.
import { WorkerEntrypoint } from "cloudflare:workers";
import { scriptOf } from "names.js";
import { cut, send } from "reports.js";

// As the operator has it: whether scripts may reach this machine and private networks, and what their host names are.
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

// Whether it is a request as a script got it: it has its id, and is for the host of a script that it came for.
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
