// Processes beside the main one, called cells. A script runs in one, with no other script's request in flight there,
// until it has answered often enough without holding anything up; then it runs in the main process, where a request
// costs least. So a script that loops or eats the memory takes down a cell that it is alone in.
import { Cell } from "cell.js";
import { SCRIPT_HEADER } from "names.js";
import { SENT_HEADER, UNBEGUN_HEADER } from "sent.js";

const PROVEN = 200; // answers after which a script's code runs in the main process
const DOUBT_PAUSE = 60_000; // milliseconds in which a script has to do so once at most
const LONGEST_WAIT = 10_000; // milliseconds that a script which must be alone waits for an empty cell
const LOOK = 100; // milliseconds after which a request looks whether its cell has become busy
const MOST_MOVES = 3; // of one request, from cell to cell
const BINDING = "CELL";

export class CellLost extends Error {} // the process ended before it had answered
export class NoCell extends Error {}

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
    const loads = route.versions.map(({ entry }) => entry.load);
    for (let moves = 0; ; moves++) {
      const cell = await this.#choose(env, script, route.code, loads);
      if (cell === null) return null;
      const mayMove = moves < MOST_MOVES && request.body === null;
      const response = await this.#ask(env, cell, cell.enter(script, loads), request, mayMove);
      if (response === null) continue;
      this.#count(script, route.code);
      return response;
    }
  }

  // What a cell answers; null when it has not begun with a request that may go to another.
  async #ask(env, cell, turn, request, mayMove) {
    const inner = new Request(request);
    inner.headers.set(SCRIPT_HEADER, turn.script);
    inner.headers.set(SENT_HEADER, `${turn.now}${mayMove ? " once" : ""}`);
    try {
      const answer = env[BINDING + cell.number].fetch(inner);
      const response = await (mayMove ? unless(answer, () => cell.hasNotBegun(turn)) : answer);
      const unbegun = response?.headers.get(UNBEGUN_HEADER);
      if (unbegun === "lost") throw new Error("its process has ended");
      return unbegun ? null : response;
    } catch (error) {
      throw new CellLost(error.message);
    } finally {
      cell.leave(turn);
    }
  }

  #count(script, code) {
    const known = this.#answers.get(script);
    if (known?.code === code) known.count++;
    else this.#answers.set(script, { code, count: 1 });
  }

  async #choose(env, script, code, loads) {
    const deadline = Date.now() + LONGEST_WAIT;
    for (let pause = 2; ; pause = Math.min(pause * 2, 64)) {
      const cell = this.#free(script, code, loads) ?? this.#shared(env, script);
      if (cell) {
        cell.release(script);
        this.#homes.set(script, { cell, code });
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
  #free(script, code, loads) {
    const isFree = (cell) => (this.#alone.has(script) ? cell.isEmptyFor(script) : cell.isFreeFor(script, loads));
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

// An answer, or null once something holds.
async function unless(answer, holds) {
  for (;;) {
    const response = await Promise.race([answer, scheduler.wait(LOOK)]);
    if (response) return response;
    if (!holds()) continue;
    answer.catch(() => {});
    return null;
  }
}
