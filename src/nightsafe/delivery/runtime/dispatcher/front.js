// Tells a script about its client. Address, scheme and host come from the connection, or from a proxy that the
// operator trusts, and never from the client. If no proxy is trusted, `cf.js` makes `request.cf` in the script's
// isolate: passing it in would cost time for each request, and few scripts read it.

const MAX_PEERS = 4096; // parsed addresses that are remembered
const colo = "LOCAL";
const httpProtocol = "HTTP/1.1"; // the protocol of this listener; the protocol of a proxy's clients is not known
const HOST = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;
const ADDRESSES = ["cf-connecting-ip", "x-real-ip", "x-forwarded-for"];

export class Front {
  #trusted; // ranges of the proxies' addresses: [16 bytes, prefix length]
  #peers = new Map(); // by the text of an address: { address, trusted, scheme, url }
  #prefix = crypto.getRandomValues(new Uint32Array(1))[0].toString(16).padStart(8, "0"); // of this process's ids
  #count = 0;

  constructor(trusted) {
    this.#trusted = trusted;
  }

  // Returns the request for the script: a copy whose headers may be changed.
  face(request) {
    return this.#trusted.length === 0 ? this.#addressDirect(request) : this.#addressProxied(request);
  }

  // Used when no proxy is trusted: `runtime.capnp` has already set or removed the headers that are the same for all
  // requests.
  #addressDirect(request) {
    const own = new Request(request);
    const { headers } = own;
    headers.set("cf-connecting-ip", this.#peerOf(request.cf?.clientIp).address ?? "");
    headers.set("cf-ray", this.#ray());
    return own;
  }

  #addressProxied(request) {
    const { headers } = request;
    const peer = this.#peerOf(request.cf?.clientIp);
    const client = peer.trusted ? this.#behind(peer, request) : peer;
    const clientAcceptEncoding = headers.get("accept-encoding") ?? undefined;
    const cf = peer.trusted ? { colo, clientAcceptEncoding } : { colo, clientAcceptEncoding, httpProtocol };
    const own = new Request(client.url === null ? request : new Request(client.url, request), { cf });
    this.#tell(own.headers, client);
    return own;
  }

  // Returns what a trusted proxy says about its client: address, scheme and requested URL.
  #behind(peer, { headers, url }) {
    const hops = listOf(headers.get("x-forwarded-for"));
    const at = this.#client(hops);
    const schemes = listOf(headers.get("x-forwarded-proto"));
    const behind = at < 0 ? 1 : hops.length - at; // the last item of each list is about the last proxy's peer
    const scheme = schemes[Math.max(0, schemes.length - behind)]?.toLowerCase() === "https" ? "https" : "http";
    const host = listOf(headers.get("x-forwarded-host")).pop();
    return { address: at < 0 ? peer.address : this.#peerOf(hops[at]).address, scheme, url: addressed(url, scheme, host) };
  }

  // Returns the position of the client in a list: the last address that is not a trusted proxy, or else the first
  // address. An item that is not an address hides all items before it. Returns -1 if no address is left.
  #client(hops) {
    for (let at = hops.length - 1; at >= 0; at--) {
      const { address, trusted } = this.#peerOf(hops[at]);
      if (address === null) return at + 1 < hops.length ? at + 1 : -1;
      if (!trusted) return at;
    }
    return hops.length ? 0 : -1;
  }

  // Sets the headers that the platform sets, over any that the client has sent. `runtime.capnp` removes further
  // headers.
  #tell(headers, { address, scheme, url }) {
    if (url !== null) headers.set("host", new URL(url).host);
    for (const name of ADDRESSES) {
      if (address === null) headers.delete(name);
      else headers.set(name, address);
    }
    headers.set("x-forwarded-proto", scheme);
    headers.set("cf-visitor", scheme === "http" ? '{"scheme":"http"}' : '{"scheme":"https"}');
    headers.set("cf-ray", this.#ray());
    headers.delete("x-forwarded-host");
  }

  #ray() {
    this.#count = (this.#count + 1) >>> 0;
    return `${this.#prefix}${this.#count.toString(16).padStart(8, "0")}-LOCAL`;
  }

  // Parses an address, possibly with a port; `address` is null when the text is not an address.
  #peerOf(text) {
    let peer = this.#peers.get(text);
    if (peer === undefined) {
      const bytes = text === undefined ? null : parse(bare(text));
      const trusted = bytes !== null && this.#trusted.some((range) => within(bytes, range));
      peer = { address: bytes && printedAddress(bare(text), bytes), trusted, scheme: "http", url: null };
      if (this.#peers.size >= MAX_PEERS) this.#peers.clear();
      this.#peers.set(text, peer);
    }
    return peer;
  }
}

// Returns the `cf` that `cf.js` would make, for a script in whose isolate `cf.js` cannot.
export function cfInit({ cf, headers }) {
  if (!cf?.clientIp) return undefined;
  return { cf: { colo, clientAcceptEncoding: headers.get("accept-encoding") ?? undefined, httpProtocol } };
}

// Returns the URL with another scheme and host; null when it does not change. An invalid host is ignored.
function addressed(url, scheme, host) {
  const other = HOST.test(host ?? "");
  if (scheme === "http" && !other) return null;
  const changed = new URL(url);
  changed.protocol = scheme;
  if (other) {
    changed.port = "";
    changed.host = host;
  }
  return changed.href === url ? null : changed.href;
}

function listOf(header) {
  return header ? header.split(",").map((item) => item.trim()) : [];
}

// Removes port, brackets and zone, as in `192.0.2.1:80`, `[2001:db8::1]:80`, `fe80::1%eth0`.
function bare(text) {
  const [, bracketed, v4] = /^\[([^\]]*)\](?::\d+)?$|^([\d.]+)(?::\d+)?$/.exec(text) ?? [];
  return (bracketed ?? v4 ?? text).replace(/%.*$/, "").toLowerCase();
}

// Returns the 16 bytes of an address, IPv4 as IPv4-mapped IPv6; null when the text is not an address.
function parse(text) {
  const v4 = quad(text);
  if (v4) return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...v4];
  const halves = text.split("::");
  if (halves.length > 2 || !text.includes(":")) return null;
  const [head, tail] = halves.map(groups);
  if (!head || (halves.length === 2 && !tail)) return null;
  const missing = 16 - head.length - (tail?.length ?? 0);
  if (halves.length === 2 ? missing < 2 : missing !== 0) return null;
  return [...head, ...Array(missing).fill(0), ...(tail ?? [])];
}

function groups(text) {
  if (text === "") return [];
  const parts = text.split(":");
  const last = quad(parts.at(-1));
  if (last) parts.pop();
  if (!parts.every((part) => /^[0-9a-f]{1,4}$/.test(part))) return null;
  return [...parts.flatMap((part) => [parseInt(part, 16) >> 8, parseInt(part, 16) & 255]), ...(last ?? [])];
}

function quad(text) {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  return parts?.every((part) => part < 256) ? parts : null;
}

function printedAddress(address, bytes) {
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  return mapped ? bytes.slice(12).join(".") : address;
}

function within(bytes, [first, bits]) {
  for (let at = 0; at < 16 && at * 8 < bits; at++) {
    const counts = Math.min(8, bits - at * 8);
    if ((bytes[at] ^ first[at]) >> (8 - counts)) return false;
  }
  return true;
}
