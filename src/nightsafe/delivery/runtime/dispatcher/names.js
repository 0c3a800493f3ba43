// Names that both sides must agree on, and host names of scripts.
export const LIFECYCLE = "NightsafeLifecycle";
export const SCRIPT_HEADER = "nightsafe-script";


const MAX_HOSTS = 4096; // hosts that are remembered
const remembered = new Map(); // by a URL's part before its path: the script; parsing a URL costs microseconds

// Returns the script that a URL's host names: `script.domain` or `script.account.domain`; null when it names no
// script.
export function scriptOf(url, settings) {
  const origin = url.slice(0, url.indexOf("/", "https://".length));
  let script = remembered.get(origin);
  if (script === undefined) {
    script = read(origin, settings);
    if (remembered.size >= MAX_HOSTS) remembered.clear();
    remembered.set(origin, script);
  }
  return script;
}

function read(origin, { account, domains }) {
  const { hostname } = new URL(origin);
  for (const domain of domains) {
    if (!hostname.endsWith(`.${domain}`)) continue;
    const labels = hostname.slice(0, -domain.length - 1).split(".");
    if (labels.length === 1 || (labels.length === 2 && labels[1] === account)) return labels[0];
  }
  return null;
}
