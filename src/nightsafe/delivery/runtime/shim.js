// Before any code of the script runs: each key becomes a CryptoKey that cannot be taken out, and the raw form goes.
import { env } from "cloudflare:workers";

const keys = env.__nightsafe_keys;
delete env.__nightsafe_keys;
for (const { name, format, material, algorithm, usages } of keys) {
  env[name] = await crypto.subtle.importKey(format, material, algorithm, false, usages);
  if (material instanceof Uint8Array) material.fill(0);
}
