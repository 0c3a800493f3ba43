// The main process's records of one cell: the scripts that wait for it, work in it, or may be to blame for its state.
import { isTooLate } from "sent_header.js";

const RECENT = 1_000; // milliseconds after a use in which it is not known yet whether the script still works
const LONGEST_TURN = 60_000; // milliseconds after which a request no longer counts as a reason why a cell is busy
const SLACK = 100; // milliseconds in which a cell may still start requests after a probe that it does not answer

export class Cell {
  busy = false; // whether it does not answer: a script computes, or the process is starting
  #stuck = 0; // since when it answers no probe, in milliseconds since 1970; 0 when it answers
  #waiting = new Map(); // scripts that wait for the head of an answer, with the turns of their requests
  #used = new Map(); // by script and load: when a wait last began or ended
  #going = new Set(); // scripts that had work under way according to the process's last report
  #asked = 0; // when the process was asked for that report
  #claim = { script: null, until: 0 }; // the claim of a script that waits until all others have left the cell

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

  // Records a request as a turn. A request whose client has gone away never leaves; it is forgotten after a while.
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

  // Returns whether the cell certainly did not and never will start a request: it was already stuck when the request came.
  hasNotStarted({ now }) {
    return this.busy && this.#stuck > 0 && now > this.#stuck + SLACK && isTooLate(now);
  }

  // Returns the scripts that wait for an answer, or are known to work on after one.
  scripts() {
    const goingOn = [...this.#going].filter((script) => this.#usedAt(script) < this.#asked);
    return new Set([...this.#awaited(), ...goingOn]);
  }

  // Returns the same scripts, and those that may still work, which is not known yet.
  suspects() {
    return new Set([...this.#awaited(), ...this.#going, ...this.#usedSince(Date.now() - RECENT)]);
  }

  // Returns the scripts for which the process may have been busy since a time.
  users(since) {
    const waiting = new Set(this.#awaited());
    const scripts = new Set([...waiting, ...this.#usedSince(since)]);
    return [...scripts].map((script) => ({ script, loads: this.#loadsOf(script, since), waits: waiting.has(script) }));
  }

  // Returns when a script other than this one last used the cell.
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

  // Returns whether no other script uses the cell and no earlier version of this script waits in it.
  isFreeFor(script, loads) {
    const isSame = (turn) => turn.loads.join() === loads.join();
    const others = [...this.scripts()].some((other) => other !== script);
    return this.isOpenTo(script) && !others && [...(this.#waiting.get(script) ?? [])].every(isSame);
  }

  // Returns whether no other script can be to blame for what happens to the cell.
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
