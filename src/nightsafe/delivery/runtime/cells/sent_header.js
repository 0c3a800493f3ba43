// The header that goes with a request to a cell: when it was sent, and whether it goes to another cell if this one
// does not start it in time. So no request is executed twice: neither by a cell that was held up meanwhile, nor by
// the successor of a process that ended, to which the runtime sends requests without a body again.
export const SENT_HEADER = "nightsafe-sent";
export const NOT_STARTED_HEADER = "nightsafe-unbegun";

const IN_TIME = 400; // milliseconds in which a cell must start a request that may go to another cell
const TOO_LATE = 600; // milliseconds after which a cell certainly no longer starts it, even if clocks differ

export const isTooLate = (sent) => Date.now() - sent > TOO_LATE;

// Returns why a process that was started at a given time must not start a request; "" when it may.
export function refusalOf(headers, started) {
  const [sent, once] = headers.get(SENT_HEADER).split(" ");
  if (sent < started) return "lost";
  return once && Date.now() - sent > IN_TIME ? "late" : "";
}

export const notStartedResponse = (why) => new Response(null, { status: 503, headers: { [NOT_STARTED_HEADER]: why } });

// Returns the response of a script without the header, so that it cannot be mistaken for `notStartedResponse`.
export function withoutNotStartedHeader(response) {
  if (!response.headers.has(NOT_STARTED_HEADER)) return response;
  const own = new Response(response.body, response);
  own.headers.delete(NOT_STARTED_HEADER);
  return own;
}
