// Answers with the text of GREETING. Once SIGNING_KEY exists, also signs the path with it; the script cannot read the key itself.
export default {
  async fetch(request, env) {
    if (!env.SIGNING_KEY) return new Response(`${env.GREETING}\n`);
    const { pathname } = new URL(request.url);
    const mark = await crypto.subtle.sign("HMAC", env.SIGNING_KEY, new TextEncoder().encode(pathname));
    const hex = [...new Uint8Array(mark)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return new Response(`${env.GREETING}, ${pathname} is signed ${hex}\n`);
  },
};
