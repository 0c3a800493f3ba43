// Runs wrangler, one command per line: {"arguments", "cwd", "env", "stdin"} in, {"code", "out", "err"} out.
//
// Most of a command's time is the load of wrangler's bundle. This process compiles the bundle once and runs it again for
// each command, as `node cli.js` runs it. So no command sees the variables that another command left in the bundle.
// A command ends as a process does: with `process.exit`, with an uncaught error, or when the event loop is empty.
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { Readable } = require('node:stream');
const vm = require('node:vm');

const FILE = process.argv[2];
const DISPATCHERS = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'].map((name) => Symbol.for(name));
const PART = 65536;

const run = new vm.Script(Module.wrap(fs.readFileSync(FILE, 'utf8').replace(/^#!/, '//')), {
  filename: FILE,
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
}).runInThisContext();

class Ended extends Error {}

let kept = Buffer.alloc(0);
let said = null;

function nextOrder() {
  const part = Buffer.alloc(PART);
  while (!kept.includes(10)) {
    const count = fs.readSync(0, part);
    if (count === 0) return null;
    kept = Buffer.concat([kept, part.subarray(0, count)]);
  }
  const end = kept.indexOf(10);
  const line = kept.subarray(0, end).toString();
  kept = kept.subarray(end + 1);
  return JSON.parse(line);
}

function collect(stream, name) {
  stream.write = (chunk, encoding, callback) => {
    said?.[name].push(Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8'));
    const done = typeof encoding === 'function' ? encoding : callback;
    if (done) process.nextTick(done);
    return true;
  };
}

function become({ arguments: words, cwd, env, stdin }) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  process.argv = [process.execPath, FILE, ...words];
  process.exitCode = undefined;
  const input = Readable.from(stdin ? [Buffer.from(stdin)] : [], { objectMode: false });
  Object.defineProperty(process, 'stdin', { configurable: true, value: input });
  said = { out: [], err: [] };
  const main = new Module(FILE, null);
  main.filename = FILE;
  main.paths = Module._nodeModulePaths(path.dirname(FILE));
  main.id = '.';
  process.mainModule = main;
  const required = Module.createRequire(FILE);
  required.main = main;
  for (const file of Object.keys(require.cache)) delete require.cache[file];
  run.call(main.exports, main.exports, required, main, FILE, path.dirname(FILE));
}

function end(code) {
  if (said === null) return;
  for (const name of DISPATCHERS) {
    globalThis[name]?.destroy();
    if (name in globalThis) globalThis[name] = undefined;
  }
  const [out, err] = [said.out, said.err].map((parts) => Buffer.concat(parts).toString());
  said = null;
  const line = Buffer.from(JSON.stringify({ code: Number(code ?? process.exitCode ?? 0), out, err }) + '\n');
  for (let at = 0; at < line.length; ) at += fs.writeSync(1, line, at);
}

function fail(error) {
  if (error instanceof Ended) return;
  said?.err.push(Buffer.from(`${error?.stack ?? error}\n`));
  end(1);
}

// Objects that the whole process shares, and that a command may patch or listen to.
const SHARED = [globalThis, process, console, Error, Module, Module.prototype, process.stdout, process.stderr].concat(
  ['child_process', 'events', 'fs', 'fs/promises', 'http', 'https', 'os', 'timers'].map((name) => require(name)),
);
const EMITTERS = [process, process.stdout, process.stderr];

function remember() {
  const properties = SHARED.map((one) => Object.getOwnPropertyDescriptors(one));
  const heard = EMITTERS.map((one) => new Set(one.eventNames().flatMap((event) => one.rawListeners(event))));
  return () => {
    SHARED.forEach((one, at) => restore(one, properties[at]));
    EMITTERS.forEach((one, at) => silence(one, heard[at]));
  };
}

function restore(shared, properties) {
  for (const name of Reflect.ownKeys(shared)) {
    const { configurable, writable, value } = Object.getOwnPropertyDescriptor(shared, name);
    const before = properties[name];
    if (before === undefined) {
      if (configurable) delete shared[name];
      else if (writable) shared[name] = undefined;
    } else if ('value' in before && before.value !== value && typeof value === 'function') {
      if (configurable) Object.defineProperty(shared, name, before);
      else if (writable) shared[name] = before.value;
    }
  }
}

function silence(emitter, heard) {
  for (const event of emitter.eventNames()) {
    for (const one of emitter.rawListeners(event)) if (!heard.has(one)) emitter.removeListener(event, one);
  }
}

collect(process.stdout, 'out');
collect(process.stderr, 'err');
const leave = process.exit;
process.exit = (code) => {
  end(code);
  throw new Ended();
};
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
process.on('beforeExit', () => {
  end();
  forget();
  const order = nextOrder();
  if (order === null) return leave(0);
  setImmediate(become, order);
});
process.mainModule = module;
const forget = remember();
