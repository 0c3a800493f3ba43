// Decides how long a response may be cached: by its headers, or else by its status, as on the platform.
const BY_STATUS = { 200: 7200, 301: 7200, 302: 1200, 303: 1200, 404: 180, 410: 180 }; // seconds
const DIRECTIVE = /([^\s=,]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,]*)))?/g;
const { parse, now } = Date;

// Returns milliseconds; 0 when the response may not be cached. A cookie belongs to one person, so a response that
// sets one is not cached, unless it says `private=set-cookie`: then it is cached without the cookie.
export function lifetimeOf({ status, headers }) {
  const said = directives(headers.get("cache-control") ?? "");
  const cookieless = (said.private ?? "").toLowerCase().split(/\s*,\s*/).includes("set-cookie");
  if ("no-store" in said || "no-cache" in said || ("private" in said && said.private === "")) return 0;
  if (headers.has("set-cookie") && !cookieless) return 0;
  const seconds = said["s-maxage"] ?? said["max-age"];
  if (seconds !== undefined) return Math.max(0, Number.parseInt(seconds, 10) || 0) * 1000;
  const expires = headers.get("expires");
  if (expires !== null) return Math.max(0, parse(expires) - now() || 0);
  return (BY_STATUS[status] ?? 0) * 1000;
}

function directives(text) {
  const said = {};
  for (const [, name, quoted, plain] of text.matchAll(DIRECTIVE)) said[name.toLowerCase()] = quoted ?? plain ?? "";
  return said;
}
