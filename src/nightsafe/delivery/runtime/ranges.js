// Answers a request from a cached response: with all of it, a part of it, or 304 when the caller has it already.
const { Response } = globalThis;
const { parse } = Date;
const RANGE = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/;

export function answerTo({ headers }, { shell, body }) {
  if (isKnown(headers, shell.headers)) return new Response(null, withStatus(shell, 304));
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

function isKnown(asked, kept) {
  const tag = kept.get("etag");
  const tags = asked.get("if-none-match");
  if (tags !== null) return tag !== null && (tags.trim() === "*" || tags.split(",").some((one) => weak(one) === weak(tag)));
  return parse(kept.get("last-modified") ?? "") <= parse(asked.get("if-modified-since") ?? "");
}

function weak(tag) {
  return tag.trim().replace(/^W\//, "");
}
