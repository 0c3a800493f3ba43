// The official TypeScript SDK, one call a line: {"options", "path", "args"} in, {"result"} or {"error"} out.
// A paged list is followed to its end, so far as `most` items.
import { createInterface } from 'node:readline';
import Cloudflare from 'cloudflare';

const MOST = 1000;

async function settled(promise) {
  const result = await promise;
  if (typeof result?.getPaginatedItems !== 'function') return result;
  const items = [];
  for await (const item of result) if (items.push(item) >= MOST) break;
  return items;
}

async function answer({ options, path, args }) {
  try {
    const client = new Cloudflare({ maxRetries: 0, ...options });
    const names = path.split('.');
    const method = names.pop();
    const resource = names.reduce((part, name) => part[name], client);
    return { result: (await settled(resource[method](...args))) ?? null };
  } catch (error) {
    return { error: { name: error.constructor.name, status: error.status ?? null, errors: error.errors ?? [] } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
}
