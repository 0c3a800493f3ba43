// What scripts print and throw, and what they ask for in vain: told to the delivery process, which logs it. What a script
// prints, and the message of what it throws, may hold a value: they are told only when the operator wants them. So may
// names: of errors, functions, hosts. The delivery process leaves out of the log what can be a script's word.
import { WorkerEntrypoint, exports } from "cloudflare:workers";
import { over } from "invocations.js";
import { LIFECYCLE } from "names.js";
import { isHandlerless } from "reasons.js";

const MOST_LINES = 100; // of one invocation
const MOST_TEXT = 4096; // characters of one line
const MOST_BODY = 48_000; // of one report
const MOST_FRAMES = 12;
const MOST_IN_A_SECOND = 100; // reports: a script that prints without end must not hold up what others ask
const KIND = /^[A-Za-z_$][\w$]{0,63}$/;
const FRAME = /^\s*at [^\n]{1,400}:\d+:\d+\)?$/;

// As the operator has it: whether what scripts print is wanted, and whether they are traced in the main process too.
export const reporting = { output: false, traced: false };

let left = MOST_IN_A_SECOND;
let second = 0;
let dropped = 0;

// What a loaded script is given beside its code. A tail worker makes each request a fifth dearer, so where there are
// cells the main process, where most requests are served, has one only when what scripts print is wanted.
export function beside(env, { script, load }) {
  const props = { script, load };
  return {
    ...(isTraced(env) && { tails: [exports.Report({ props })] }),
    globalOutbound: exports.Outbound({ props }),
  };
}

export const isTraced = (env) => reporting.traced || env.CELL1 === undefined;

// A script that threw where it is not traced: what is known here is the kind of error. Gives whether it was not.
export function threw(env, ctx, { script, load }, request, error) {
  if (isTraced(env)) return false;
  const exceptions = [{ kind: kindOf(error?.name), stack: [] }];
  ctx.waitUntil(send(env, { script, load, request: request?.headers.get("cf-ray") ?? "", exceptions }));
  return true;
}

// Gets what happened in an invocation of a traced script, once all that it waits for is over.
export class Report extends WorkerEntrypoint {
  async tail(items) {
    for (const item of items) {
      if (item.entrypoint !== LIFECYCLE) over(this.ctx.props);
      const told = read(item);
      if (told) await send(this.env, { ...this.ctx.props, ...told });
    }
  }
}

function read(item) {
  const logs = reporting.output ? item.logs : [];
  const exceptions = item.exceptions.filter((one) => !isHandlerless(one)); // `router.js` tells of these
  if (!exceptions.length && !logs.length) return null;
  return {
    request: item.event?.request?.headers?.["cf-ray"] ?? "",
    exceptions: exceptions.slice(0, MOST_LINES).map(({ name, message, stack }) => ({
      kind: kindOf(name),
      stack: framesOf(stack),
      ...(reporting.output && { message: cut(message) }),
    })),
    lines: logs.slice(0, MOST_LINES).map(({ level, message, timestamp }) => ({ level, message: cut(worded(message)), at: timestamp })),
    left_out: Math.max(0, logs.length - MOST_LINES),
    truncated: item.truncated,
  };
}

export async function send(env, report) {
  if (!mayReport()) {
    dropped++;
    return;
  }
  while (size(report) > MOST_BODY && report.lines?.length) {
    report.left_out += report.lines.splice(report.lines.length >> 1).length;
  }
  const body = JSON.stringify({ ...report, dropped });
  dropped = 0;
  try {
    await (await env.CP.fetch("http://cp/reports", { method: "POST", body })).body?.cancel();
  } catch {
    dropped++;
  }
}

function mayReport() {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) left = MOST_IN_A_SECOND;
  second = now;
  return left-- > 0;
}

const size = (report) => new TextEncoder().encode(JSON.stringify(report)).length;
export const cut = (text) => String(text ?? "").slice(0, MOST_TEXT);
const worded = (message) => (Array.isArray(message) ? message : [message]).map(word).join(" ");
const word = (item) => (typeof item === "string" ? item : JSON.stringify(item) ?? "undefined");
const kindOf = (name) => (KIND.test(name) ? name : "Error");

// Lines that look like places. A script can write what it likes there: which of them are told, and what of them, is
// seen to by the delivery process.
function framesOf(stack) {
  const lines = String(stack ?? "").split("\n").filter((line) => FRAME.test(line));
  return lines.slice(0, MOST_FRAMES).map((line) => line.trim());
}
