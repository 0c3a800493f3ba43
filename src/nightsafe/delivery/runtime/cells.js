// Processes beside the main one, called cells. A script runs in one, with no other script's request in flight there,
// until it has answered often enough without holding anything up; then it runs in the main process, where a request
// costs least. So a script that loops or eats the memory takes down a cell that it is alone in.
import { SCRIPT_HEADER } from "names.js";

const PROVEN = 200; // answers after which a script's code runs in the main process
const RECENT = 60_000; // milliseconds for which it is remembered who used a cell
const DOUBT_PAUSE = 60_000; // milliseconds in which a script has to do so once at most
const LONGEST_TURN = 60_000; // milliseconds after which a request counts no longer as one that a cell is busy for
const LONGEST_WAIT = 10_000; // milliseconds that a script which must be alone waits for an empty cell
const BINDING = "CELL";

export class CellLost extends Error {} // the process ended before it had answered
export class NoCell extends Error {}

class Cell {
  busy = false; // it does not answer: a script computes, or the process is being started
  waiting = new Map(); // scripts that wait for the head of an answer, with when each of their requests came
  used = new Map(); // scripts, with when they last used it
  lost = new Set(); // scripts whose requests it did not answer

  constructor(number) {
    this.number = number;
  }

  // Gives what ends the wait. One whose client has gone away never says so, and is forgotten after a while.
  enter(script) {
    const now = Date.now();
    const since = this.waiting.get(script) ?? new Set();
    const turn = { now };
    this.waiting.set(script, since.add(turn));
    this.used.set(script, now);
    return () => {
      since.delete(turn);
      if (since.size === 0 && this.waiting.get(script) === since) this.waiting.delete(script);
    };
  }

  // The scripts that wait.
  scripts() {
    const before = Date.now() - LONGEST_TURN;
    for (const [script, since] of this.waiting) {
      for (const turn of since) if (turn.now < before) since.delete(turn);
      if (since.size === 0) this.waiting.delete(script);
    }
    return [...this.waiting.keys()];
  }

  isFreeFor(script) {
    return !this.busy && this.scripts().every((other) => other === script);
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
    for (const { number, busy } of cells) {
      if (!this.#cells.has(number)) this.#cells.set(number, new Cell(number));
      this.#cells.get(number).busy = busy;
    }
    this.#heavy = new Map(heavy);
    this.#alone = new Set(alone);
    this.#growing = false;
  }

  // Whom a process was busy for, and whose requests it lost since that was last asked.
  report(number) {
    const cell = this.#cells.get(number);
    if (!cell) return { scripts: [], recent: [], lost: [] };
    const since = Date.now() - RECENT;
    for (const [script, used] of cell.used) if (used < since) cell.used.delete(script);
    const lost = [...cell.lost];
    cell.lost.clear();
    return { scripts: cell.scripts(), recent: [...cell.used.keys()], lost };
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
    const leave = cell.enter(script);
    try {
      const response = await env[BINDING + cell.number].fetch(inner);
      this.#count(script, route.code);
      return response;
    } catch (error) {
      cell.lost.add(script);
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
        this.#homes.set(script, { cell, code: route.code });
        return cell;
      }
      if (!this.#retired && !this.#heavy.has(script) && [...this.#cells.values()].every(({ busy }) => busy)) return null;
      if (Date.now() > deadline) throw new NoCell();
      await scheduler.wait(pause);
    }
  }

  // A cell with no other script's request in flight: the one that has the script loaded, or else any.
  #free(script, code) {
    const home = this.#homes.get(script);
    if (home?.code === code && home.cell.isFreeFor(script)) return home.cell;
    for (const cell of this.#cells.values()) {
      if (cell.isFreeFor(script)) return cell;
    }
    return null;
  }

  // When every cell has some script's request in flight: the one with the fewest, and one more process is asked for.
  #shared(env, script) {
    if (!this.#growing) {
      this.#growing = true;
      env.CP.fetch("http://cp/cells", { method: "POST" }).catch(() => {});
    }
    if (this.#alone.has(script)) return null;
    let best = null;
    for (const cell of this.#cells.values()) {
      const taken = cell.scripts().some((other) => this.#alone.has(other));
      if (!cell.busy && !taken && (best === null || cell.waiting.size < best.waiting.size)) best = cell;
    }
    return best;
  }
}
