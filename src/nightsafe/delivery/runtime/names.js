// Names that both sides keep to, and host names.
export const LIFECYCLE = "NightsafeLifecycle";

// The script that a URL's host names: `script.domain` or `script.account.domain`; null when it names none.
export function scriptOf(url, { account, domains }) {
  const { hostname } = new URL(url);
  for (const domain of domains) {
    if (!hostname.endsWith(`.${domain}`)) continue;
    const labels = hostname.slice(0, -domain.length - 1).split(".");
    if (labels.length === 1 || (labels.length === 2 && labels[1] === account)) return labels[0];
  }
  return null;
}
