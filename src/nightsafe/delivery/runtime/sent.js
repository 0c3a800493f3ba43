// What a cell is told beside a request: when it was sent, and whether it is sent elsewhere when the cell does not begin
// with it in time. So nothing is done twice: neither by a cell that was held up meanwhile, nor by the process that takes
// the place of one that ended, which the runtime asks again for what has no body.
export const SENT_HEADER = "nightsafe-sent";
export const UNBEGUN_HEADER = "nightsafe-unbegun";

const IN_TIME = 400; // milliseconds in which a cell begins with what may be sent elsewhere
const TOO_LATE = 600; // milliseconds after which it does so no longer, whatever the clocks say

export const isTooLate = (sent) => Date.now() - sent > TOO_LATE;

// Why a process that was started at a time does not begin with a request: "" when it does.
export function refusalOf(headers, started) {
  const [sent, once] = headers.get(SENT_HEADER).split(" ");
  if (sent < started) return "lost";
  return once && Date.now() - sent > IN_TIME ? "late" : "";
}

export const unbegun = (why) => new Response(null, { status: 503, headers: { [UNBEGUN_HEADER]: why } });

// The response of a script, which is not to be taken for that.
export function ofScript(response) {
  if (!response.headers.has(UNBEGUN_HEADER)) return response;
  const own = new Response(response.body, response);
  own.headers.delete(UNBEGUN_HEADER);
  return own;
}
