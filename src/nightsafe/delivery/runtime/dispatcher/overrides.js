// Parses the header with which a request asks for a version: a Structured Fields dictionary (RFC 9651, section 3.2)
// from names of scripts to ids of versions, such as `one="dc8dcd28-271b-4367-9840-6c244f84cb40", two="…"`.
const KEY = "[a-z*][a-z0-9_.*-]*";
const STRING = '"(?:[ !#-\\[\\]-~]|\\\\["\\\\])*"';
const OTHER = "-?[0-9]{1,15}(?:\\.[0-9]{1,3})?|[A-Za-z*][\\w!#$%&'*+.^`|~:/-]*|:[A-Za-z0-9+/=]*:|\\?[01]|@-?[0-9]{1,15}|%\"[ !#-~]*\"";
const BARE = `(?:${STRING}|${OTHER})`;
const PARAMETERS = `(?:; *${KEY}(?:=${BARE})?)*`;
const ITEM = `${BARE}${PARAMETERS}`;
const LIST = `\\( *(?:${ITEM}(?: +${ITEM})*)? *\\)${PARAMETERS}`;
const MEMBER = new RegExp(`(${KEY})(?:=(?:(${STRING})${PARAMETERS}|${ITEM}|${LIST})|${PARAMETERS})`, "y");
const COMMA = /[ \t]*,[ \t]*/y;

// Returns the id of the version that a header asks for; null when it names no version of this script or is malformed.
export function overrideOf(header, script) {
  const text = header.replace(/^ +| +$/g, "");
  let version = null;
  for (let at = 0; ; ) {
    MEMBER.lastIndex = at;
    const [member, key, string] = MEMBER.exec(text) ?? [];
    if (member === undefined) return null;
    if (key === script) version = string?.slice(1, -1).replace(/\\(.)/g, "$1") ?? null;
    COMMA.lastIndex = at += member.length;
    if (at === text.length) return version;
    const comma = COMMA.exec(text);
    if (comma === null) return null;
    at += comma[0].length;
  }
}
