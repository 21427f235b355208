// Whether a NATS server is there and speaks: it says who it is as soon as somebody connects. Asked before the client library
// connects, which would leave its socket open for ever where a server accepts and says nothing.
import { connect } from "node:net";
import type { Clock } from "#kit/clock.ts";

/** How a server begins whatever it says. */
const FIRST_WORD = "INFO ";

export interface GreetingOptions {
  /** "nats-0:4222", "[::1]:4222" */
  readonly server: string;
  readonly clock: Clock;
  readonly withinMs: number;
  readonly leaving: AbortSignal;
}

/** Resolves when the server has spoken; rejects with an Error whose words say why it has not. Leaves no socket behind. */
export function greeted({ server, clock, withinMs, leaving }: GreetingOptions): Promise<void> {
  const colon = server.lastIndexOf(":");
  const host = server.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host, port: Number(server.slice(colon + 1)) });
  let said = "";
  const timer = clock.after(withinMs, () => reject(new Error(`it said nothing within ${withinMs} ms`)));
  const leave = (): void => reject(new Error("the store was closed"));
  leaving.addEventListener("abort", leave, { once: true });
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("it ended the connection")));
  socket.on("data", (chunk: Buffer) => {
    said += chunk.toString("latin1", 0, FIRST_WORD.length);
    if (said.startsWith(FIRST_WORD)) resolve();
    else if (!FIRST_WORD.startsWith(said)) reject(new Error("it does not speak NATS' protocol"));
  });
  return promise.finally(() => {
    timer.cancel();
    leaving.removeEventListener("abort", leave);
    socket.destroy();
  });
}
