// What the main process knows of one cell: who waits for it, who goes on in it, and who may be to blame for it.
import { isTooLate } from "sent.js";

const RECENT = 1_000; // milliseconds after a use in which it is not known yet what the script goes on with
const LONGEST_TURN = 60_000; // milliseconds after which a request counts no longer as one that a cell is busy for
const SLACK = 100; // milliseconds that a cell which answers no probe may have gone on to begin with requests

export class Cell {
  busy = false; // it does not answer: a script computes, or the process is being started
  #stuck = 0; // since when it answers no probe, in milliseconds since 1970; 0 when it is not that
  #waiting = new Map(); // scripts that wait for the head of an answer, with the turns of their requests
  #used = new Map(); // scripts, with their loads, with when each last began or ended to wait
  #going = new Set(); // scripts with something under way when the process last said so
  #asked = 0; // when that was
  #claim = { script: null, until: 0 }; // by a script that waits until all others have left it

  constructor(number) {
    this.number = number;
  }

  tell({ busy, stuck, going, asked }) {
    this.busy = busy;
    this.#stuck = stuck;
    this.#going = new Set(going);
    this.#asked = asked;
    this.#forget(Date.now() - LONGEST_TURN);
  }

  // The turn of a request. One whose client has gone away never leaves, and is forgotten after a while.
  enter(script, loads) {
    const turns = this.#waiting.get(script) ?? new Set();
    const turn = { script, loads, now: Date.now() };
    this.#waiting.set(script, turns.add(turn));
    this.#use(turn);
    return turn;
  }

  leave(turn) {
    this.#use(turn);
    const turns = this.#waiting.get(turn.script);
    turns?.delete(turn);
    if (turns?.size === 0) this.#waiting.delete(turn.script);
  }

  // Whether a request has certainly not been begun with, and will not be: the process was held up before it came.
  hasNotBegun({ now }) {
    return this.busy && this.#stuck > 0 && now > this.#stuck + SLACK && isTooLate(now);
  }

  // The scripts that wait for an answer, or are known to go on with something after one.
  scripts() {
    const goingOn = [...this.#going].filter((script) => this.#usedAt(script) < this.#asked);
    return new Set([...this.#awaited(), ...goingOn]);
  }

  // The same, and those of which that is not known yet.
  suspects() {
    return new Set([...this.#awaited(), ...this.#going, ...this.#usedSince(Date.now() - RECENT)]);
  }

  // For whom the process may have been busy since a time.
  users(since) {
    const waiting = new Set(this.#awaited());
    const scripts = new Set([...waiting, ...this.#usedSince(since)]);
    return [...scripts].map((script) => ({ script, loads: this.#loadsOf(script, since), waits: waiting.has(script) }));
  }

  // When a script other than this one last used it.
  lastUsedByOthers(script) {
    return Math.max(0, ...[...this.#used.keys()].filter((other) => other !== script).map((other) => this.#usedAt(other)));
  }

  claim(script, until) {
    this.#claim = { script, until };
  }

  release(script) {
    if (this.#claim.script === script) this.claim(null, 0);
  }

  isOpenTo(script) {
    return !this.busy && (this.#claim.script === script || this.#claim.until < Date.now());
  }

  // Whether nobody else uses it, nor an earlier version of the same script waits in it.
  isFreeFor(script, loads) {
    const isSame = (turn) => turn.loads.join() === loads.join();
    const others = [...this.scripts()].some((other) => other !== script);
    return this.isOpenTo(script) && !others && [...(this.#waiting.get(script) ?? [])].every(isSame);
  }

  // Whether nobody else can be to blame for what happens to it.
  isEmptyFor(script) {
    return this.isOpenTo(script) && [...this.suspects()].every((other) => other === script);
  }

  #awaited() {
    const before = Date.now() - LONGEST_TURN;
    for (const [script, since] of this.#waiting) {
      for (const turn of since) if (turn.now < before) since.delete(turn);
      if (since.size === 0) this.#waiting.delete(script);
    }
    return this.#waiting.keys();
  }

  #use({ script, loads }) {
    const used = this.#used.get(script) ?? new Map();
    for (const load of loads) used.set(load, Date.now());
    this.#used.set(script, used);
  }

  #forget(before) {
    for (const [script, used] of this.#used) {
      for (const [load, at] of used) if (at < before) used.delete(load);
      if (used.size === 0) this.#used.delete(script);
    }
  }

  #usedAt(script) {
    return Math.max(0, ...(this.#used.get(script)?.values() ?? []));
  }

  #usedSince(time) {
    return [...this.#used.keys()].filter((script) => this.#usedAt(script) >= time);
  }

  #loadsOf(script, since) {
    const waiting = [...(this.#waiting.get(script) ?? [])].flatMap(({ loads }) => loads);
    const used = [...(this.#used.get(script) ?? [])].filter(([, at]) => at >= since).map(([load]) => load);
    return [...new Set([...waiting, ...used])];
  }
}
