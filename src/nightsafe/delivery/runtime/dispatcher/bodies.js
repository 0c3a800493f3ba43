// Reads the bodies of requests that scripts leave unread. If the client is still sending when an answer ends, the
// runtime closes the connection, and the bytes that the client sends after that make its system drop the answer. So
// this reads the rest of the body, and ends the answer only afterwards; it passes on the answer's head and bytes at
// once.
const CHUNK = 65_536; // bytes
const LONGEST = 30_000; // milliseconds for which the rest is read
const LONGEST_SILENCE = 5_000; // milliseconds in which no part of it comes

// Calls `answer` with the request that the script gets. The script may read its body or leave it until the answer has
// ended. `answer` must not throw.
export async function withBody(ctx, request, answer) {
  if (request.body === null || request.method === "GET" || request.method === "HEAD") return answer(request);
  const { readable, writable } = streamLike(request);
  const own = new Request(request, { body: readable });
  const upload = new Upload(request, writable);
  ctx.waitUntil(upload.passed);
  const response = await answer(own);
  return upload.isOver || response.webSocket ? response : lasting(ctx, response, upload);
}

class Upload {
  isOver = false;
  #reader;
  #writer;
  #size;
  #hasLeft = false;
  #left = Promise.withResolvers();
  #enough = this.#left.promise.then(() => this.#patience());
  #seen = 0; // when the last part came

  constructor(request, writable) {
    this.#reader = request.body.getReader({ mode: "byob" });
    this.#writer = writable.getWriter();
    this.#size = Math.max(1, Math.min(CHUNK, Number(request.headers.get("content-length") ?? CHUNK)));
    this.passed = this.#pass().finally(() => (this.isOver = true));
  }

  // Notes that the script reads no more; returns when the rest is read.
  leave() {
    this.#hasLeft = true;
    this.#left.resolve();
    return this.passed;
  }

  async #pass() {
    try {
      for (;;) {
        const { done, value } = await Promise.race([this.#reader.read(new Uint8Array(this.#size)), this.#enough]);
        if (done) break;
        this.#seen = Date.now();
        if (!this.#hasLeft) await this.#write(value);
      }
      await this.#write();
    } catch (error) {
      this.#writer.abort(error).catch(() => {}); // the client has gone away
    }
  }

  // Resolves at the end of the time in which the rest is read.
  async #patience() {
    const end = Date.now() + LONGEST;
    do await scheduler.wait(LONGEST_SILENCE);
    while (Date.now() < end && Date.now() - this.#seen < LONGEST_SILENCE);
    return { done: true };
  }

  // Hands over a part or the end of the body; also returns when the script reads no more.
  #write(value) {
    const written = value ? this.#writer.write(value) : this.#writer.close();
    return Promise.race([written.catch(() => void this.leave()), this.#left.promise]);
  }
}

// Returns the response, made to end only when the upload is over.
async function lasting(ctx, response, upload) {
  if (response.body === null) {
    await upload.leave();
    return response;
  }
  const { readable, writable } = streamLike(response);
  const piped = response.body.pipeTo(writable, { preventClose: true });
  ctx.waitUntil(piped.then(() => upload.leave()).then(() => writable.close()).catch(() => {}));
  return new Response(readable, response);
}

function streamLike({ headers }) {
  const length = headers.get("content-length");
  return length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
}
