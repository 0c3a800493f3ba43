// Chooses cells, the processes beside the main one. A script runs in a cell, where no other script has a request in
// flight, until it has answered often enough without holding anything up. Then it runs in the main process, where
// requests cost least. So a script that loops or uses up the memory takes down only a cell that it is alone in.
import { Cell } from "cell.js";
import { SCRIPT_HEADER } from "names.js";
import { NOT_STARTED_HEADER, SENT_HEADER } from "sent_header.js";

const PROVEN = 200; // answers after which a script's code runs in the main process
const DOUBT_PAUSE = 60_000; // milliseconds in which `doubt` sends a script back to the cells at most once
const LONGEST_WAIT = 10_000; // milliseconds that a script which must be alone waits for an empty cell
const LOOK = 100; // milliseconds between checks of a request whether its cell has become busy
const MAX_MOVES = 3; // how often one request may move from cell to cell
const BINDING = "CELL";

export class CellLost extends Error {} // the process ended before it answered
export class NoCell extends Error {}

export class Cells {
  #cells = new Map(); // by number
  #homes = new Map(); // by script: the cell that has it loaded, and the digest of that code
  #answers = new Map(); // by script: its code's digest, and how often that code has answered
  #heavy = new Map(); // scripts that have held a process up, with the digests of their code
  #alone = new Set(); // scripts that must not share a cell
  #growing = false;
  #retired = false;

  // Takes over what the delivery process knows about the cells.
  tell({ cells, heavy, alone }) {
    for (const cell of cells) {
      if (!this.#cells.has(cell.number)) this.#cells.set(cell.number, new Cell(cell.number));
      this.#cells.get(cell.number).tell(cell);
    }
    this.#heavy = new Map(heavy);
    this.#alone = new Set(alone);
    this.#growing = false;
  }

  // Returns the scripts for which a cell may have been busy since a time, in milliseconds since 1970.
  report(number, since) {
    return this.#cells.get(number)?.users(since) ?? [];
  }

  // Returns whether a script with this code runs in this process.
  isAtHome(script, route) {
    if (this.#cells.size === 0) return true;
    if (this.#retired || !route.light || this.#heavy.get(script) === route.code) return false;
    const proof = this.#answers.get(script);
    return proof !== undefined && proof.code === route.code && proof.count >= PROVEN;
  }

  forget() {
    this.#answers.clear();
  }

  // Lets no script run in this process any more, as long as there are cells: another process is the main one.
  retire() {
    this.#retired = true;
  }

  // Sends a script that has thrown in the main process back to the cells, where its stack is visible, to prove itself
  // again.
  doubt(script) {
    const proof = this.#answers.get(script);
    if (!proof || Date.now() < (proof.doubted ?? 0) + DOUBT_PAUSE) return;
    proof.count = 0;
    proof.doubted = Date.now();
  }

  // Returns the answer of a cell; null when the script may run in this process because all cells are busy.
  async forward(env, script, route, request) {
    const loads = route.versions.map(({ entry }) => entry.load);
    for (let moves = 0; ; moves++) {
      const cell = await this.#choose(env, script, route.code, loads);
      if (cell === null) return null;
      const mayMove = moves < MAX_MOVES && request.body === null;
      const response = await this.#ask(env, cell, cell.enter(script, loads), request, mayMove);
      if (response === null) continue;
      this.#count(script, route.code);
      return response;
    }
  }

  // Returns a cell's answer; null when the cell has not started the request, which may then go to another cell.
  async #ask(env, cell, turn, request, mayMove) {
    const inner = new Request(request);
    inner.headers.set(SCRIPT_HEADER, turn.script);
    inner.headers.set(SENT_HEADER, `${turn.now}${mayMove ? " once" : ""}`);
    try {
      const answer = env[BINDING + cell.number].fetch(inner);
      const response = await (mayMove ? unless(answer, () => cell.hasNotStarted(turn)) : answer);
      const notStarted = response?.headers.get(NOT_STARTED_HEADER);
      if (notStarted === "lost") throw new Error("its process has ended");
      return notStarted ? null : response;
    } catch (error) {
      throw new CellLost(error.message);
    } finally {
      cell.leave(turn);
    }
  }

  #count(script, code) {
    const proof = this.#answers.get(script);
    if (proof?.code === code) proof.count++;
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

  // Returns whether a script may run in this process although it has not proved itself: every cell is busy, and
  // nothing is known against the script.
  #mayStay(script) {
    if (this.#retired || this.#heavy.has(script) || this.#alone.has(script)) return false;
    return [...this.#cells.values()].every(({ busy }) => busy);
  }

  // Returns a cell that no other script uses: the one that has the script loaded, or else the one that other scripts
  // have left alone for longest.
  #free(script, code, loads) {
    const isFree = (cell) => (this.#alone.has(script) ? cell.isEmptyFor(script) : cell.isFreeFor(script, loads));
    const home = this.#homes.get(script);
    if (home?.code === code && isFree(home.cell)) return home.cell;
    const free = [...this.#cells.values()].filter(isFree).map((cell) => [cell.lastUsedByOthers(script), cell]);
    return free.sort(([one], [other]) => one - other)[0]?.[1] ?? null;
  }

  // Returns a cell for a script when others use every cell: the one with the fewest scripts. Also asks for one more
  // cell. A script that has to be alone claims that cell and waits until it is empty.
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

// Returns the answer, or null as soon as `holds` is true.
async function unless(answer, holds) {
  for (;;) {
    const response = await Promise.race([answer, scheduler.wait(LOOK)]);
    if (response) return response;
    if (!holds()) continue;
    answer.catch(() => {});
    return null;
  }
}
