// Requests that a client sends over one connection without waiting for answers are taken one after the other: Node would
// run them at the same time, and a read could overtake the write that was sent before it (RFC 9112, 9.3.2).
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests of one connection that may wait before the connection is no longer read. What was read already still comes. */
const WAITING_MAX = 64;

interface Turn {
  /** The newest answer of the connection, finished or not. */
  last: ServerResponse;
  waiting: number;
}

export class Turns {
  readonly #turns = new WeakMap<Socket, Turn>();

  /** Runs `task` when all earlier requests of the connection have their answers. */
  take(socket: Socket, response: ServerResponse, task: () => void): void {
    const turn = this.#turns.get(socket);
    if (turn === undefined) {
      this.#turns.set(socket, { last: response, waiting: 0 });
      task();
      return;
    }
    const { last } = turn;
    turn.last = response;
    if (isOver(last)) task();
    else wait(socket, turn, last, task);
  }

  /** Runs `task` when the newest request of the connection has its answer. */
  afterLast(socket: Socket, task: () => void): void {
    const last = this.#turns.get(socket)?.last;
    if (last === undefined || isOver(last)) task();
    else last.once("close", task);
  }
}

function isOver(response: ServerResponse): boolean {
  return response.writableEnded || response.destroyed;
}

function wait(socket: Socket, turn: Turn, last: ServerResponse, task: () => void): void {
  turn.waiting++;
  if (turn.waiting === WAITING_MAX) socket.pause();
  last.once("close", () => {
    turn.waiting--;
    // Nobody waits for the answers of a connection that is gone, and what it still asked for was not promised to it.
    if (socket.destroyed) return;
    if (turn.waiting === WAITING_MAX / 2) socket.resume();
    task();
  });
}
