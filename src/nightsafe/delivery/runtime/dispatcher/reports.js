// Reports to the delivery process, which logs it, what scripts print and throw, and which requests of theirs fail.
// Printed lines and the messages of exceptions may contain a value: they are reported only if the operator wants
// them. Names of errors, functions and hosts may contain one too: the delivery process keeps out of the log any that
// a script can choose.
import { WorkerEntrypoint, exports } from "cloudflare:workers";
import { finishInvocation } from "invocations.js";
import { LIFECYCLE } from "names.js";
import { isHandlerless } from "reasons.js";

const MAX_LINES = 100; // lines of one invocation
const MAX_TEXT = 4096; // characters of one line
const MAX_BODY = 48_000; // bytes of one report
const MAX_FRAMES = 12;
const MAX_IN_A_SECOND = 100; // reports; a script that prints without end must not hold up requests to others
const KIND = /^[A-Za-z_$][\w$]{0,63}$/;
const FRAME = /^\s*at [^\n]{1,400}:\d+:\d+\)?$/;

// The operator's settings: whether to report what scripts print, and whether to trace them in the main process too.
export const reporting = { output: false, traced: false };

let left = MAX_IN_A_SECOND;
let second = 0;
let dropped = 0;

// Returns what a loaded script is given beside its code. A tail worker makes each request a fifth more expensive. So
// if there are cells, the main process, which serves most requests, has one only when the operator wants what scripts
// print.
export function beside(env, { script, load }) {
  const props = { script, load };
  return {
    ...(isTraced(env) && { tails: [exports.Report({ props })] }),
    globalOutbound: exports.Outbound({ props }),
  };
}

export const isTraced = (env) => reporting.traced || env.CELL1 === undefined;

// Reports an exception of a script that is not traced; only the kind of error is known here. Returns false if it is
// traced.
export function threw(env, ctx, { script, load }, request, error) {
  if (isTraced(env)) return false;
  const exceptions = [{ kind: kindOf(error?.name), stack: [] }];
  ctx.waitUntil(send(env, { script, load, request: request?.headers.get("cf-ray") ?? "", exceptions }));
  return true;
}

// Receives what happened in an invocation of a traced script, after all work of the invocation is over.
export class Report extends WorkerEntrypoint {
  async tail(items) {
    for (const item of items) {
      if (item.entrypoint !== LIFECYCLE) finishInvocation(this.ctx.props);
      const report = read(item);
      if (report) await send(this.env, { ...this.ctx.props, ...report });
    }
  }
}

function read(item) {
  const logs = reporting.output ? item.logs : [];
  const exceptions = item.exceptions.filter((one) => !isHandlerless(one)); // `router.js` reports these
  if (!exceptions.length && !logs.length) return null;
  return {
    request: item.event?.request?.headers?.["cf-ray"] ?? "",
    exceptions: exceptions.slice(0, MAX_LINES).map(({ name, message, stack }) => ({
      kind: kindOf(name),
      stack: framesOf(stack),
      ...(reporting.output && { message: cut(message) }),
    })),
    lines: logs.slice(0, MAX_LINES).map(({ level, message, timestamp }) => ({ level, message: cut(worded(message)), at: timestamp })),
    left_out: Math.max(0, logs.length - MAX_LINES),
    truncated: item.truncated,
  };
}

export async function send(env, report) {
  if (!mayReport()) {
    dropped++;
    return;
  }
  while (size(report) > MAX_BODY && report.lines?.length) {
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
  if (now !== second) left = MAX_IN_A_SECOND;
  second = now;
  return left-- > 0;
}

const size = (report) => new TextEncoder().encode(JSON.stringify(report)).length;
export const cut = (text) => String(text ?? "").slice(0, MAX_TEXT);
const worded = (message) => (Array.isArray(message) ? message : [message]).map(word).join(" ");
const word = (item) => (typeof item === "string" ? item : JSON.stringify(item) ?? "undefined");
const kindOf = (name) => (KIND.test(name) ? name : "Error");

// Returns the lines that look like places. A script can write any text there; the delivery process decides which
// lines, and which parts of them, go to the log.
function framesOf(stack) {
  const lines = String(stack ?? "").split("\n").filter((line) => FRAME.test(line));
  return lines.slice(0, MAX_FRAMES).map((line) => line.trim());
}
