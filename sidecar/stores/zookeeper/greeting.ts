// How a connection begins: a socket, a greeting, the server's answer with a session or without one. Knows nothing of what
// is said then.
import { connect, type Socket } from "node:net";
import type { Clock } from "#kit/clock.ts";
import { closedError, connectError, ZooKeeperError } from "./failures.ts";
import { FrameReader } from "./jute.ts";
import { connectFrame, type Greeting, readWelcome, type Welcome } from "./messages.ts";
import type { Server } from "./servers.ts";

export interface GreetOptions {
  readonly server: Server;
  readonly clock: Clock;
  /** Longest wait for the server's answer, connecting included. */
  readonly connectMs: number;
  readonly greeting: Greeting;
  readonly leaving: AbortSignal;
}

/** A socket on which the server has answered. */
export interface Greeted {
  readonly socket: Socket;
  readonly reader: FrameReader;
  readonly welcome: Welcome;
}

/** Rejects with a ZooKeeperError, of code `closed` once `leaving` aborts, and leaves no socket behind then. */
export function greet({ server, clock, connectMs, greeting, leaving }: GreetOptions): Promise<Greeted> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.host, port: server.port, noDelay: true });
    const reader = new FrameReader();
    const fail = (error: ZooKeeperError): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const broken = (error: Error): void => fail(connectError(server.name, error));
    const ended = (): void => broken(new Error("it ended the connection; it has no leader, or is behind"));
    const close = (): void => fail(closedError());
    const read = (chunk: Buffer): void => {
      const welcome = welcomeIn(reader, chunk);
      if (welcome === null) return;
      if (welcome instanceof Error) fail(notOurs(server));
      else {
        settle();
        resolve({ socket, reader, welcome });
      }
    };
    const timer = clock.after(connectMs, () => broken(new Error(`no session within ${connectMs} ms`)));
    const settle = (): void => {
      timer.cancel();
      leaving.removeEventListener("abort", close);
      socket.removeListener("close", ended).removeListener("data", read).removeListener("error", broken);
      // An error that comes later is followed by "close".
      socket.on("error", () => undefined);
    };
    leaving.addEventListener("abort", close, { once: true });
    socket.once("error", broken).once("close", ended).on("data", read);
    socket.once("connect", () => socket.write(connectFrame(greeting)));
  });
}

function notOurs({ name }: Server): ZooKeeperError {
  return new ZooKeeperError("unavailable", `${name} does not speak ZooKeeper's protocol`);
}

/** The answer, null where it is not there in whole, an error for what is none. */
function welcomeIn(reader: FrameReader, chunk: Buffer): Welcome | Error | null {
  try {
    const [frame] = reader.read(chunk);
    return frame === undefined ? null : readWelcome(frame);
  } catch (error) {
    return error instanceof Error ? error : new Error("unreadable");
  }
}
