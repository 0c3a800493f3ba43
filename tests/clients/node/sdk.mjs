// The official TypeScript SDK, one call a line: {"options", "path", "args"} in, {"result"} or {"error"} out.
// A paged list is read to its end, for at most `MOST` items. {"$file": {"name", "type", "text"}} among the arguments
// is a file; a response that is not JSON becomes {"headers", "text"}.
import { createInterface } from 'node:readline';
import Cloudflare, { toFile } from 'cloudflare';

const MOST = 10000;

async function withFiles(value) {
  if (Array.isArray(value)) return Promise.all(value.map(withFiles));
  if (value === null || typeof value !== 'object') return value;
  if (value.$file) return toFile(Buffer.from(value.$file.text), value.$file.name, { type: value.$file.type });
  const entries = Object.entries(value).map(async ([name, member]) => [name, await withFiles(member)]);
  return Object.fromEntries(await Promise.all(entries));
}

async function settled(promise) {
  const result = await promise;
  if (result instanceof Response) return { headers: Object.fromEntries(result.headers), text: await result.text() };
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
    return { result: (await settled(resource[method](...(await withFiles(args))))) ?? null };
  } catch (error) {
    return { error: { name: error.constructor.name, status: error.status ?? null, errors: error.errors ?? [] } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n');
}
