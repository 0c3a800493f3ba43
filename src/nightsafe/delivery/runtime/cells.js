// Processes beside the main one, called cells. A script runs in one, with no other script's request in flight there,
// until it has answered often enough without holding anything up; then it runs in the main process, where a request
// costs least. So a script that loops or eats the memory takes down a cell that it is alone in.
import { SCRIPT_HEADER } from "names.js";

const PROVEN = 200; // answers after which a script's code runs in the main process
const RECENT = 1_000; // milliseconds after a use in which it is not known yet what the script goes on with
const DOUBT_PAUSE = 60_000; // milliseconds in which a script has to do so once at most
const LONGEST_TURN = 60_000; // milliseconds after which a request counts no longer as one that a cell is busy for
const LONGEST_WAIT = 10_000; // milliseconds that a script which must be alone waits for an empty cell
const BINDING = "CELL";

export class CellLost extends Error {} // the process ended before it had answered
export class NoCell extends Error {}

class Cell {
  busy = false; // it does not answer: a script computes, or the process is being started
  #waiting = new Map(); // scripts that wait for the head of an answer, with when each of their requests came
  #used = new Map(); // scripts, with when they last began or ended to wait, and the loads that served them then
  #going = new Set(); // scripts with something under way when the process last said so
  #asked = 0; // when that was
  #claim = { script: null, until: 0 }; // by a script that waits until all others have left it

  constructor(number) {
    this.number = number;
  }

  tell({ busy, going, asked }) {
    this.busy = busy;
    this.#going = new Set(going);
    this.#asked = asked;
    const before = Date.now() - LONGEST_TURN;
    for (const [script, { at }] of this.#used) if (at < before && !this.#waiting.has(script)) this.#used.delete(script);
  }

  // Gives what ends the wait. One whose client has gone away never says so, and is forgotten after a while.
  enter(script, loads) {
    const now = Date.now();
    const since = this.#waiting.get(script) ?? new Set();
    const turn = { now };
    this.#waiting.set(script, since.add(turn));
    this.#used.set(script, { at: now, loads });
    return () => {
      since.delete(turn);
      this.#used.set(script, { at: Date.now(), loads });
      if (since.size === 0 && this.#waiting.get(script) === since) this.#waiting.delete(script);
    };
  }

  // The scripts that wait for an answer, or are known to go on with something after one.
  scripts() {
    const goingOn = [...this.#going].filter((script) => !(this.#usedAt(script) >= this.#asked));
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
    return [...scripts].map((script) => ({ script, loads: this.#used.get(script).loads, waits: waiting.has(script) }));
  }

  // When a script other than this one last used it.
  lastUsedByOthers(script) {
    const times = [...this.#used].map(([other, { at }]) => (other === script ? 0 : at));
    return Math.max(0, ...times);
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

  isFreeFor(script) {
    return this.isOpenTo(script) && [...this.scripts()].every((other) => other === script);
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

  #usedAt(script) {
    return this.#used.get(script)?.at;
  }

  #usedSince(time) {
    return [...this.#used].filter(([, { at }]) => at >= time).map(([script]) => script);
  }
}

export class Cells {
  #cells = new Map(); // by number
  #homes = new Map(); // by script: the cell that has it loaded, and the code it is of
  #answers = new Map(); // by script: its code, and how often that has answered
  #heavy = new Map(); // scripts that have held a process up, with the loads that did
  #alone = new Set(); // scripts that share a cell with no other
  #growing = false;
  #retired = false;

  // What the delivery process knows of the cells.
  tell({ cells, heavy, alone }) {
    for (const cell of cells) {
      if (!this.#cells.has(cell.number)) this.#cells.set(cell.number, new Cell(cell.number));
      this.#cells.get(cell.number).tell(cell);
    }
    this.#heavy = new Map(heavy);
    this.#alone = new Set(alone);
    this.#growing = false;
  }

  // Whom a process may have been busy for since a time, in milliseconds since 1970.
  report(number, since) {
    return this.#cells.get(number)?.users(since) ?? [];
  }

  // Whether a script with this code runs in the process that asks.
  isAtHome(script, route) {
    if (this.#cells.size === 0) return true;
    if (this.#retired || !route.light || this.#heavy.get(script) === route.code) return false;
    const known = this.#answers.get(script);
    return known !== undefined && known.code === route.code && known.count >= PROVEN;
  }

  forget() {
    this.#answers.clear();
  }

  // Nothing runs in this process any more, as long as there are cells: another is the main one.
  retire() {
    this.#retired = true;
  }

  // A script that has thrown in the main process has to prove itself anew, in a cell, where its stack is seen.
  doubt(script) {
    const known = this.#answers.get(script);
    if (!known || Date.now() < (known.doubted ?? 0) + DOUBT_PAUSE) return;
    known.count = 0;
    known.doubted = Date.now();
  }

  // The answer of a cell; null when the script may as well run here, for all cells are busy.
  async forward(env, script, route, request) {
    const cell = await this.#choose(env, script, route);
    if (cell === null) return null;
    const inner = new Request(request);
    inner.headers.set(SCRIPT_HEADER, script);
    const leave = cell.enter(script, route.versions.map(({ entry }) => entry.load));
    try {
      const response = await env[BINDING + cell.number].fetch(inner);
      this.#count(script, route.code);
      return response;
    } catch (error) {
      throw new CellLost(error.message);
    } finally {
      leave();
    }
  }

  #count(script, code) {
    const known = this.#answers.get(script);
    if (known?.code === code) known.count++;
    else this.#answers.set(script, { code, count: 1 });
  }

  async #choose(env, script, route) {
    const deadline = Date.now() + LONGEST_WAIT;
    for (let pause = 2; ; pause = Math.min(pause * 2, 64)) {
      const cell = this.#free(script, route.code) ?? this.#shared(env, script);
      if (cell) {
        cell.release(script);
        this.#homes.set(script, { cell, code: route.code });
        return cell;
      }
      if (this.#mayStay(script)) return null;
      if (Date.now() > deadline) throw new NoCell();
      await scheduler.wait(pause);
    }
  }

  // Whether a script may run in this process though it has proved nothing: every cell is busy, and it is not known for
  // anything.
  #mayStay(script) {
    if (this.#retired || this.#heavy.has(script) || this.#alone.has(script)) return false;
    return [...this.#cells.values()].every(({ busy }) => busy);
  }

  // A cell that no other script uses: the one that has the script loaded, or else the one that others used least lately.
  #free(script, code) {
    const isFree = (cell) => (this.#alone.has(script) ? cell.isEmptyFor(script) : cell.isFreeFor(script));
    const home = this.#homes.get(script);
    if (home?.code === code && isFree(home.cell)) return home.cell;
    const free = [...this.#cells.values()].filter(isFree).map((cell) => [cell.lastUsedByOthers(script), cell]);
    return free.sort(([one], [other]) => one - other)[0]?.[1] ?? null;
  }

  // When others use every cell: the one that the fewest do, and one more process is asked for. A script that has to be
  // alone waits until that one is empty.
  #shared(env, script) {
    if (!this.#growing) {
      this.#growing = true;
      env.CP.fetch("http://cp/cells", { method: "POST" }).catch(() => {});
    }
    let best = null;
    for (const cell of this.#cells.values()) {
      const scripts = cell.scripts();
      if (!cell.isOpenTo(script) || [...scripts].some((other) => this.#alone.has(other))) continue;
      if (best === null || scripts.size < best.size) best = { cell, size: scripts.size };
    }
    if (best === null || !this.#alone.has(script)) return best?.cell ?? null;
    best.cell.claim(script, Date.now() + LONGEST_WAIT);
    return null;
  }
}
