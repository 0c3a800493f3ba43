"""The Cache API: a script finds what it stored, for as long as it may be kept, and no other script does."""

from typing import Any, Final

import pytest
from tests.delivery.runtime import Runtime, text
from tests.effort import last_first

RUN: Final = """
const c = caches.default;
const url = (name) => `https://example.com/${name}`;
const put = (name, body, headers = {}, rest = {}) => c.put(url(name), new Response(body, { headers, ...rest }));
const told = async (found) => found && [found.status, found.body ? await found.text() : null];
const failing = async (run) => { try { await run(); return "none";
  } catch (error) { return `${error.name}: ${error.message}`; } };
async function all() {
  const cases = {
%s
  };
  const results = {};
  for (const [name, run] of Object.entries(cases)) results[name] = (await run()) ?? null;
  return results;
}
"""
MODULE: Final = RUN + "export default { fetch: async () => Response.json(await all()) };"
CLASSIC: Final = (
    RUN + "addEventListener('fetch', (event) => event.respondWith(all().then((all) => Response.json(all))));"
)

DATES = ["2021-11-02", "2022-10-31", "2024-04-03", "2025-09-01", "2026-04-01", "2026-11-16"]


async def run(runtime: Runtime, cases: str, *, classic: bool = False, **members: Any) -> Any:
    """Run the cases one after another in a script; return their results by name."""
    if classic:
        files = {"worker.js": ("application/javascript", (CLASSIC % cases).encode())}
        await runtime.upload("cases", files, classic=True, **members)
    else:
        await runtime.upload("cases", MODULE % cases, **members)
    answer = await runtime.get("cases")
    assert 200 == answer.status_code, answer.text
    return answer.json()


BASICS: Final = """
    miss: () => c.match(url("a")),
    put: async () => { await put("a", "body", { "x-own": "1" }); const found = await c.match(url("a"));
      return [found.status, found.headers.get("x-own"), found.headers.get("cf-cache-status"), await found.text()]; },
    again: async () => told(await c.match(new Request(url("a")))),
    query: async () => told(await c.match(url("a?q"))),
    fragment: async () => told(await c.match(url("a#f"))),
    replaced: async () => { await put("a", "other", {}, { status: 404 }); return told(await c.match(url("a"))); },
    named: async () => {
      const [one, two, same] = [await caches.open("one"), await caches.open("two"), await caches.open("one")];
      await one.put(url("a"), new Response("in one"));
      return [await told(await one.match(url("a"))), await told(await two.match(url("a"))) ?? null,
        await told(await same.match(url("a"))), await told(await c.match(url("a")))];
    },
    deleted: async () => [await c.delete(url("a")), await c.delete(url("a")),
      await told(await c.match(url("a"))) ?? null],
    method: async () => { await put("m", "get"); const post = new Request(url("m"), { method: "POST", body: "x" });
      return [await told(await c.match(post)) ?? null, await told(await c.match(post, { ignoreMethod: true })),
        await c.delete(post), await c.delete(post, { ignoreMethod: true })]; },
    empty: async () => { await put("e", null); return told(await c.match(url("e"))); },
    kinds: () => [c instanceof Cache, caches instanceof CacheStorage, c === caches.default],
    bytes: async () => {
      await put("b", new Uint8Array(3000).map((_, at) => at));
      const first = new Uint8Array(await (await c.match(url("b"))).arrayBuffer()); first.fill(0);
      const second = new Uint8Array(await (await c.match(url("b"))).arrayBuffer());
      return [second.length, second[2999]]; },
    stream: async () => {
      const { readable, writable } = new TransformStream(); const writer = writable.getWriter();
      const putting = put("s", readable); const chunk = new Uint8Array([97]);
      await writer.write(chunk); chunk[0] = 98; await writer.write(chunk); await writer.close(); await putting;
      return told(await c.match(url("s"))); },
    clone: async () => { const one = new Response("both"); const putting = c.put(url("c"), one.clone());
      const own = await one.text(); await putting; return [own, await told(await c.match(url("c")))]; },
"""
FOUND: Final = {
    "miss": None,
    "put": [200, "1", "HIT", "body"],
    "again": [200, "body"],
    "query": None,
    "fragment": [200, "body"],
    "replaced": [404, "other"],
    "named": [[200, "in one"], None, [200, "in one"], [404, "other"]],
    "deleted": [True, False, None],
    "method": [None, [200, "get"], False, True],
    "empty": [200, None],
    "kinds": [True, True, True],
    "bytes": [3000, 2999 % 256],
    "stream": [200, "ab"],
    "clone": ["both", [200, "both"]],
}


@pytest.mark.parametrize("date", last_first(DATES))
@pytest.mark.parametrize("classic", [False, True], ids=["module", "classic"])
async def test_a_stored_response_is_matched_until_deleted(runtime: Runtime, date: str, *, classic: bool) -> None:
    """A response is found by its URL, in its own cache, until it is deleted, in scripts of any date and kind."""
    assert FOUND == await run(runtime, BASICS, classic=classic, compatibility_date=date)


async def test_wrong_use_fails_as_on_the_platform(runtime: Runtime) -> None:
    """Wrong use throws the runtime's own errors, and nothing is stored."""
    found = await run(
        runtime,
        """
    post: () => failing(() => c.put(new Request(url("w"), { method: "POST" }), new Response("x"))),
    partial: () => failing(() => put("w", "x", {}, { status: 206 })),
    vary: () => failing(() => put("w", "x", { vary: "a, *" })),
    error: () => failing(() => c.put(url("w"), Response.error())),
    nothing: () => failing(() => c.put(url("w"))),
    used: () => failing(async () => { const one = new Response("x"); await one.text(); await c.put(url("w"), one); }),
    relative: () => failing(() => c.match("/w")),
    foreign: () => failing(() => c.match.call({}, url("w"))),
    broken: () => failing(() => put("w", new ReadableStream({ pull() { throw new RangeError("broken"); } }))),
    kept: async () => told(await c.match(url("w"))),
""",
    )

    assert "TypeError: Cannot cache response to non-GET request." == found["post"]
    assert "TypeError: Cannot cache response to a range request (206 Partial Content)." == found["partial"]
    assert "TypeError: Cannot cache response with 'Vary: *' header." == found["vary"]
    assert "TypeError: Cache is unable to store an error response" == found["error"]
    assert "RangeError: broken" == found["broken"]
    kinds = {name: found[name].split(":")[0] for name in ("nothing", "used", "relative", "foreign")}
    assert {"TypeError"} == set(kinds.values())
    assert found["kept"] is None


async def test_a_response_that_may_not_be_stored_is_a_miss(runtime: Runtime) -> None:
    """If headers or status forbid to store a response, `put` succeeds and stores nothing; cookies are never kept."""
    found = await run(
        runtime,
        """
    refused: async () => {
      const kinds = [{ "cache-control": "no-store" }, { "cache-control": "max-age=5, NO-CACHE" },
        { "cache-control": "private, max-age=60" }, { "cache-control": "max-age=0" },
        { "cache-control": "s-maxage=0, max-age=60" }, { expires: "Thu, 01 Jan 1970 00:00:00 GMT" }, { expires: "0" },
        { "set-cookie": "a=b" }, { "set-cookie": "a=b", "cache-control": "max-age=60" }];
      const got = [];
      for (const headers of kinds) { await put("n", "x", headers);
        got.push(await told(await c.match(url("n"))) ?? null); }
      for (const status of [304, 500, 403]) { await put("n", null, {}, { status });
        got.push(await told(await c.match(url("n"))) ?? null); }
      return got.filter((one) => one !== null); },
    kept: async () => {
      const kinds = [{}, { "cache-control": "public" }, { "cache-control": "max-age=60" },
        { "cache-control": "max-age=0, s-maxage=60" }, { expires: new Date(Date.now() + 60000).toUTCString() },
        { "cache-control": 'max-age="60", must-revalidate' }];
      const got = [];
      for (const headers of kinds) { await c.delete(url("k")); await put("k", "x", headers);
        got.push((await c.match(url("k"))) !== undefined); }
      for (const status of [301, 404, 410, 302]) { await put("k", null, {}, { status });
        got.push((await c.match(url("k"))).status); }
      await put("k", "failed", { "cache-control": "max-age=60" }, { status: 500 });
        got.push((await c.match(url("k"))).status);
      return got; },
    cookieless: async () => {
      await put("p", "x", { "set-cookie": "a=b", "cache-control": "private=set-cookie, max-age=60" });
      const found = await c.match(url("p")); return [found.headers.get("set-cookie"), await found.text()]; },
    expired: async () => {
      await put("t", "x", { "cache-control": "max-age=1" });
      const before = await told(await c.match(url("t")));
      for (let turn = 0; turn < 1000 && (await c.match(url("t"))); turn++) await scheduler.wait(10);
      return [before, (await c.match(url("t"))) ?? null, await c.delete(url("t"))]; },
""",
    )

    assert [] == found["refused"]
    assert [True] * 6 + [301, 404, 410, 302, 500] == found["kept"]
    assert [None, "x"] == found["cookieless"]
    assert [[200, "x"], None, False] == found["expired"]


async def test_conditional_and_range_requests_are_answered(runtime: Runtime) -> None:
    """A stored response answers a conditional request with 304 and a range request with the range."""
    found = await run(
        runtime,
        """
    seeds: () => put("r", "0123456789", { etag: '"v1"', "last-modified": "Tue, 01 Jan 2030 00:00:00 GMT",
      "x-own": "1" }),
    asked: async () => {
      const got = [];
      for (const headers of [{ "if-none-match": '"v0", W/"v1"' }, { "if-none-match": "*" },
        { "if-none-match": '"v0"' },
        { "if-modified-since": "Tue, 01 Jan 2030 00:00:00 GMT" },
          { "if-modified-since": "Mon, 01 Jan 2029 00:00:00 GMT" },
        { "if-none-match": '"v0"', "if-modified-since": "Tue, 01 Jan 2030 00:00:00 GMT" },
        { range: "bytes=2-4" }, { range: "bytes=7-" }, { range: "bytes=-3" }, { range: "bytes=8-99" },
          { range: "bytes=10-" },
        { range: "bytes=0-1,3-4" }, { range: "lines=1-2" }]) {
        const one = await c.match(new Request(url("r"), { headers }));
        got.push([one.status, one.headers.get("content-range"), one.headers.get("x-own"), await one.text()]);
      }
      return got; },
    zipped: async () => {
      const zipped = new Response("zip ".repeat(100)).body.pipeThrough(new CompressionStream("gzip"));
      await c.put(url("z"), new Response(zipped, { encodeBody: "manual", headers: { "content-encoding": "gzip" } }));
      const found = await c.match(url("z"));
      const plain = new Response(found.body.pipeThrough(new DecompressionStream("gzip")));
      return [found.headers.get("content-encoding"), (await plain.text()).length]; },
""",
    )

    whole, known = [200, None, "1", "0123456789"], [304, None, "1", ""]
    assert [known, known, whole, known, whole, whole] == found["asked"][:6]
    parts = [("2-4", "234"), ("7-9", "789"), ("7-9", "789"), ("8-9", "89")]
    assert [[206, f"bytes {at}/10", "1", part] for at, part in parts] == found["asked"][6:10]
    assert [[416, "bytes */10", "1", ""], whole, whole] == found["asked"][10:]
    assert ["gzip", 400] == found["zipped"]


async def test_the_cache_is_limited_in_size_and_count(runtime: Runtime) -> None:
    """Too large a body is a miss; over the limits of total size and count, the least recently used entries go."""
    found = await run(
        runtime,
        """
    large: async () => { await put("l", new Uint8Array(4 << 20));
      const fits = (await c.match(url("l"))) !== undefined;
      await c.delete(url("l")); await put("l", new Uint8Array((4 << 20) + 1)); return [fits,
        (await c.match(url("l"))) ?? null]; },
    endless: async () => { await put("i", new ReadableStream({ pull(it) { it.enqueue(new Uint8Array(1 << 20)); } }));
      return c.match(url("i")); },
    many: async () => {
      for (let at = 0; at < 1100; at++) { await put(`m${at}`, "x"); await c.match(url("m0")); }
      let there = 0; for (let at = 0; at < 1100; at++) there += (await c.match(url(`m${at}`))) !== undefined;
      return [there, (await c.match(url("m0"))) !== undefined, (await c.match(url("m1"))) !== undefined]; },
    heavy: async () => {
      for (let at = 0; at < 8; at++) await put(`h${at}`, new Uint8Array(3 << 20));
      const there = []; for (let at = 0; at < 8; at++) if (await c.match(url(`h${at}`))) there.push(at);
      return there; },
""",
    )

    assert [True, None] == found["large"]
    assert found["endless"] is None
    assert [1000, True, False] == found["many"]
    assert [3, 4, 5, 6, 7] == found["heavy"]


async def test_each_version_has_its_own_cache(runtime: Runtime) -> None:
    """Neither another script nor a newer version of the same script finds an entry under the same URL."""
    code = """
      export default { async fetch(request, env) {
        const found = await caches.default.match("https://shared/");
        if (!found) await caches.default.put("https://shared/", new Response(env.TOKEN));
        return found ?? new Response("miss");
      } };"""
    for name in ("one", "two"):
        await runtime.upload(name, code, [text("TOKEN", name)])
        assert ["miss", name, name] == [(await runtime.get(name)).text for _ in range(3)]

    await runtime.upload("one", code, [text("TOKEN", "newer")])
    assert ["miss", "newer"] == [(await runtime.get("one")).text for _ in range(2)]
    assert "two" == (await runtime.get("two")).text
