// Requests that a client sends over one connection without waiting for answers are taken one after the other: Node would
// run them at the same time, and a read could overtake the write that was sent before it (RFC 9112, 9.3.2).
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests of one connection that may wait before it is no longer read. What one read has brought still comes. */
const WAITING_MAX = 64;

interface Turn {
  /** The newest request of the connection and its answer, finished or not. */
  request: IncomingMessage;
  response: ServerResponse;
  /** The answer before that. */
  before: ServerResponse | null;
  waiting: number;
  /** Nothing is read from the socket. */
  held: boolean;
  /** The parser has given up on the connection: no request of it is taken any more. */
  ending: boolean;
}

export class Turns {
  readonly #turns = new WeakMap<Socket, Turn>();

  /** Runs `task` when all earlier requests of the connection have their answers. */
  take(request: IncomingMessage, response: ServerResponse, task: () => void): void {
    const { socket } = request;
    const turn = this.#turns.get(socket);
    if (turn === undefined) {
      this.#turns.set(socket, firstTurn(request, response));
      task();
      return;
    }
    if (turn.ending) return;
    const before = turn.response;
    turn.request = request;
    turn.response = response;
    turn.before = before;
    if (isOver(before)) task();
    else wait(socket, turn, before, task);
  }

  /** Whether the connection has had a request. */
  knows(socket: Socket): boolean {
    return this.#turns.has(socket);
  }

  /** Whether a request of the connection is being served or waits. */
  isBusy(socket: Socket): boolean {
    return this.#turns.get(socket)?.response.destroyed === false;
  }

  /**
   * Takes no more requests of the connection and runs `task` once, when every answer that was begun or can be given is
   * out. A request that is not all there is not waited for. `isOwed` tells whether the client may get one answer more.
   */
  finish(socket: Socket, task: (isOwed: boolean) => void): void {
    const turn = this.#turns.get(socket);
    if (turn === undefined) {
      task(true);
      return;
    }
    // The parser complains again about every further piece.
    if (turn.ending) return;
    turn.ending = true;
    // A late rest must not complete a request whose client is told that it failed.
    hold(socket, turn);
    const { request, response, before } = turn;
    const end = (): void => {
      const isOwed = request.complete || !response.headersSent;
      if (request.complete || response.headersSent) afterwards(response, () => task(isOwed));
      else task(isOwed);
    };
    if (request.complete || before === null) end();
    else afterwards(before, end);
  }
}

function firstTurn(request: IncomingMessage, response: ServerResponse): Turn {
  const turn: Turn = { request, response, before: null, waiting: 0, held: false, ending: false };
  const { socket } = request;
  // Node resumes the socket after each request that it parses and each answer that is taken; this has the last word.
  socket.on("resume", () => {
    if (turn.held) socket.pause();
  });
  return turn;
}

function hold(socket: Socket, turn: Turn): void {
  turn.held = true;
  socket.pause();
}

function isOver(response: ServerResponse): boolean {
  return response.writableEnded || response.destroyed;
}

/** Runs `task` when the answer has left, or nobody is there to take it. */
function afterwards(response: ServerResponse, task: () => void): void {
  if (response.destroyed) task();
  else response.once("close", task);
}

function wait(socket: Socket, turn: Turn, before: ServerResponse, task: () => void): void {
  turn.waiting++;
  if (turn.waiting === WAITING_MAX) hold(socket, turn);
  before.once("close", () => {
    turn.waiting--;
    // Nobody waits for the answers of a connection that is gone, and what it still asked for was not promised to it.
    if (socket.destroyed) return;
    if (turn.waiting === WAITING_MAX / 2 && !turn.ending) {
      turn.held = false;
      socket.resume();
    }
    task();
  });
}
