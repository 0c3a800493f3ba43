// The Cache API: `caches.default` and `caches.open(name)`. The runtime has no cache for scripts that are loaded, so
// this keeps responses in the memory of the script's own isolate. No other script can reach them, and they end with
// the isolate.

const MAX_ENTRIES = 1000;
const MAX_BYTES = 16 << 20; // of all entries together
const MAX_BODY = 4 << 20; // bytes of a body
const OVERHEAD = 512; // bytes that an entry counts for besides its body and its key
const BY_STATUS = { 200: 7200, 301: 7200, 302: 1200, 303: 1200, 404: 180, 410: 180 }; // seconds, as on the platform
const DIRECTIVE = /([^\s=,]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]*)))?/g;
const RANGE = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/;

const { Request, Response, URL } = globalThis;
const { now, parse } = Date;
const own = Object.getPrototypeOf(caches.default);
const storage = Object.getPrototypeOf(caches);
const { open } = storage;
const names = new WeakMap([[caches.default, ""]]); // names of caches
const kept = new Map(); // entries by cache and URL, the least recently used first
let bytes = 0;

function keyOf(cache, request) {
  const name = names.get(cache);
  if (name === undefined) throw new TypeError("Illegal invocation");
  try {
    const url = new URL(request.url);
    url.hash = "";
    return `${name}\n${url.href}`;
  } catch {
    throw new TypeError("Invalid URL. Cache API keys must be fully-qualified, valid URLs.");
  }
}

// Returns the request that a method is asked about and the key of its response; null when no response can be cached.
function lookupOf(cache, info, options) {
  const request = info instanceof Request ? info : new Request(info);
  if (request.method !== "GET" && !options?.ignoreMethod) return null;
  return { request, key: keyOf(cache, request) };
}

function drop(key) {
  bytes -= kept.get(key)?.size ?? 0;
  return kept.delete(key);
}

function find(key) {
  const entry = kept.get(key);
  if (entry && entry.until > now()) return entry;
  drop(key);
  return undefined;
}

function keep(key, entry) {
  drop(key);
  kept.set(key, entry);
  bytes += entry.size;
  for (const [oldest] of kept) {
    if (bytes <= MAX_BYTES && kept.size <= MAX_ENTRIES) return;
    drop(oldest);
  }
}

function refuseUnfit(request, response) {
  if (!(response instanceof Response)) {
    throw new TypeError("Failed to execute 'put' on 'Cache': parameter 2 is not of type 'Response'.");
  }
  if (response.type === "error") throw new TypeError("Cache is unable to store an error response");
  if (request.method !== "GET") throw new TypeError("Cannot cache response to non-GET request.");
  if (response.status === 206) throw new TypeError("Cannot cache response to a range request (206 Partial Content).");
  if (response.headers.get("vary")?.includes("*")) throw new TypeError("Cannot cache response with 'Vary: *' header.");
  if (response.webSocket) throw new TypeError("Cannot cache WebSocket upgrade response.");
  if (response.bodyUsed) throw new TypeError("Body has already been used. It can only be used once.");
}

// Reads a whole body; returns null when it is too large to be kept.
async function read(body) {
  const parts = [];
  let size = 0;
  for (const reader = body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return join(parts, size);
    const part = bytesOf(value);
    parts.push(part);
    size += part.length;
    if (size > MAX_BODY) {
      await reader.cancel();
      return null;
    }
  }
}

// Copies the bytes, because the code that gave them may overwrite them later.
function bytesOf(chunk) {
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength).slice();
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk).slice();
  throw new TypeError("A body that is kept in a cache must be a stream of bytes.");
}

function join(parts, size) {
  const joined = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

// Returns the response without its body, for the cache. It keeps the encoding of the body, too.
function shellOf(response) {
  const shell = new Response(null, response);
  if (shell.headers.has("set-cookie")) shell.headers.delete("set-cookie");
  shell.headers.set("cf-cache-status", "HIT");
  return shell;
}

// Returns how many milliseconds a response may be cached: by its headers, or else by its status, as on the platform.
// Returns 0 when the response may not be cached. A cookie belongs to one person, so a response that sets one is not
// cached, unless it says `private=set-cookie`: then it is cached without the cookie.
function lifetimeOf({ status, headers }) {
  const found = directivesOf(headers.get("cache-control") ?? "");
  const cookieless = (found.private ?? "").toLowerCase().split(/\s*,\s*/).includes("set-cookie");
  if ("no-store" in found || "no-cache" in found || ("private" in found && found.private === "")) return 0;
  if (headers.has("set-cookie") && !cookieless) return 0;
  const seconds = found["s-maxage"] ?? found["max-age"];
  if (seconds !== undefined) return Math.max(0, Number.parseInt(seconds, 10) || 0) * 1000;
  const expires = headers.get("expires");
  if (expires !== null) return Math.max(0, parse(expires) - now() || 0);
  return (BY_STATUS[status] ?? 0) * 1000;
}

function directivesOf(text) {
  const found = {};
  for (const [, name, quoted, plain] of text.matchAll(DIRECTIVE)) found[name.toLowerCase()] = quoted ?? plain ?? "";
  return found;
}

// Answers a request from a cached response: with all of it, a part of it, or 304 when the caller has it already.
function answerTo({ headers }, { shell, body }) {
  if (isUnchanged(headers, shell.headers)) return new Response(null, withStatus(shell, 304));
  const range = body && RANGE.exec(headers.get("range") ?? "");
  if (!range) return new Response(body, shell);
  const size = body.length;
  const from = range[3] === undefined ? Number(range[1]) : Math.max(0, size - Number(range[3]));
  const to = Math.min(size - 1, range[2] ? Number(range[2]) : size - 1);
  const answer = from > to ? new Response(null, withStatus(shell, 416)) : new Response(body.slice(from, to + 1), withStatus(shell, 206));
  answer.headers.set("content-range", from > to ? `bytes */${size}` : `bytes ${from}-${to}/${size}`);
  answer.headers.set("content-length", String(from > to ? 0 : to - from + 1));
  return answer;
}

function withStatus(shell, status) {
  return { status, headers: shell.headers };
}

function isUnchanged(requestHeaders, storedHeaders) {
  const tag = storedHeaders.get("etag");
  const tags = requestHeaders.get("if-none-match");
  if (tags !== null) return tag !== null && (tags.trim() === "*" || tags.split(",").some((one) => weak(one) === weak(tag)));
  return parse(storedHeaders.get("last-modified") ?? "") <= parse(requestHeaders.get("if-modified-since") ?? "");
}

function weak(tag) {
  return tag.trim().replace(/^W\//, "");
}

const methods = {
  async match(info, options) {
    const { key, request } = lookupOf(this, info, options) ?? {};
    const entry = key && find(key);
    if (!entry) return undefined;
    kept.delete(key);
    kept.set(key, entry);
    return answerTo(request, entry);
  },

  async put(info, response) {
    const request = info instanceof Request ? info : new Request(info);
    refuseUnfit(request, response);
    const key = keyOf(this, request);
    const lifetime = response.status === 304 ? 0 : lifetimeOf(response);
    if (lifetime === 0 || Number(response.headers.get("content-length")) > MAX_BODY) return response.body?.cancel();
    const shell = shellOf(response);
    const body = response.body && (await read(response.body));
    if (response.body && body === null) return;
    const size = (body?.length ?? 0) + key.length * 2 + OVERHEAD;
    keep(key, { shell, body, size, until: now() + lifetime });
  },

  async delete(info, options) {
    const { key } = lookupOf(this, info, options) ?? {};
    return key !== undefined && find(key) !== undefined && drop(key);
  },
};

const opening = {
  async open(...given) {
    const cache = await Reflect.apply(open, this, given);
    names.set(cache, `:${given[0]}`);
    return cache;
  },
};

function replace(target, source) {
  for (const [name, value] of Object.entries(source)) {
    Object.defineProperty(target, name, { ...Object.getOwnPropertyDescriptor(target, name), value });
  }
}

replace(own, methods);
replace(storage, opening);
