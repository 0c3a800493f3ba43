// The Cache API: `caches.default` and `caches.open(name)`. The runtime has no cache for scripts that are loaded, so
// this keeps responses in the memory of the script's own isolate. No other script can reach them, and they end with
// the isolate.
import { lifetimeOf } from "./freshness.js";
import { answerTo } from "./ranges.js";

const MOST_ENTRIES = 1000;
const MOST_BYTES = 16 << 20; // of all entries together
const LARGEST = 4 << 20; // bytes of a body
const OVERHEAD = 512; // bytes that an entry counts for besides its body and its key

const { Request, Response, URL } = globalThis;
const { now } = Date;
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
function asked(cache, info, options) {
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
    if (bytes <= MOST_BYTES && kept.size <= MOST_ENTRIES) return;
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
    if (size > LARGEST) {
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
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// Returns the response without its body, for the cache. It keeps the encoding of the body, too.
function shellOf(response) {
  const shell = new Response(null, response);
  if (shell.headers.has("set-cookie")) shell.headers.delete("set-cookie");
  shell.headers.set("cf-cache-status", "HIT");
  return shell;
}

const methods = {
  async match(info, options) {
    const { key, request } = asked(this, info, options) ?? {};
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
    if (lifetime === 0 || Number(response.headers.get("content-length")) > LARGEST) return response.body?.cancel();
    const shell = shellOf(response);
    const body = response.body && (await read(response.body));
    if (response.body && body === null) return;
    const size = (body?.length ?? 0) + key.length * 2 + OVERHEAD;
    keep(key, { shell, body, size, until: now() + lifetime });
  },

  async delete(info, options) {
    const { key } = asked(this, info, options) ?? {};
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
