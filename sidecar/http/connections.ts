// One port for two protocols: a connection that begins with HTTP/2's preface ("prior knowledge") is one of HTTP/2, every
// other is one of HTTP/1.1. `Upgrade: h2c` is not answered, which HTTP allows: the request then goes on in HTTP/1.1.
import { Server, type ServerOptions } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "#kit/clock.ts";
import type { Http2Sessions } from "./h2.ts";

/** What every client of HTTP/2 sends first (RFC 9113, 3.4). No request of HTTP/1.1 begins so. */
const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export interface TwoProtocols {
  readonly http1: ServerOptions;
  readonly http2: Http2Sessions;
  readonly clock: Clock;
  /** A client has this long until its first bytes tell the protocol, in milliseconds. */
  readonly firstBytesTimeoutMs: number;
}

/** A server of node:http that hands the connections of HTTP/2 over to sessions. */
export class TwoProtocolServer extends Server {
  readonly #sessions: Http2Sessions;
  /** Nothing has come that tells their protocol. */
  readonly #undecided = new Set<Socket>();

  constructor({ http1, http2, clock, firstBytesTimeoutMs }: TwoProtocols) {
    super(http1);
    this.#sessions = http2;
    const own = this.listeners("connection");
    this.removeAllListeners("connection");
    this.on("connection", (socket) => {
      const timer = clock.after(firstBytesTimeoutMs, () => socket.destroy());
      this.#undecided.add(socket);
      const decide = (): void => {
        timer.cancel();
        this.#undecided.delete(socket);
      };
      tellProtocol(socket, (isHttp2) => {
        decide();
        if (isHttp2) http2.take(socket);
        else for (const listener of own) Reflect.apply(listener, this, [socket]);
      });
      socket.once("close", decide);
    });
  }

  override closeIdleConnections(): void {
    super.closeIdleConnections();
    this.#closeUndecided();
    this.#sessions.closeIdle();
  }

  override closeAllConnections(): void {
    super.closeAllConnections();
    this.#closeUndecided();
    this.#sessions.closeAll();
  }

  #closeUndecided(): void {
    for (const socket of this.#undecided) socket.destroy();
  }
}

/** Looks at a connection's first bytes once and puts them back, so that whoever takes it finds it untouched. */
function tellProtocol(socket: Socket, then: (isHttp2: boolean) => void): void {
  let seen: Buffer | null = null;
  const settle = (): void => {
    socket.off("readable", look);
    socket.off("end", leave);
    socket.off("error", leave);
  };
  const look = (): void => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen === null ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const fits = PREFACE.compare(seen, 0, length, 0, length) === 0;
    if (fits && length < PREFACE.length) return;
    settle();
    socket.unshift(seen);
    then(fits);
  };
  const leave = (): void => {
    settle();
    socket.destroy();
  };
  socket.on("readable", look);
  socket.on("end", leave);
  socket.on("error", leave);
}
