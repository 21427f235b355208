// Whether a NATS server is there and speaks: it says who it is as soon as somebody connects. Asked before the client library
// connects, which would leave its socket open for ever where a server accepts and says nothing.
import { connect } from "node:net";
import type { Clock } from "#kit/clock.ts";

/** How a server begins whatever it says. */
const FIRST_WORD = "INFO ";
/** A greeting names the cluster's other servers: many times what a large one takes. */
const GREETING_BYTES_MAX = 64 * 1024;

export interface GreetingOptions {
  /** "nats-0:4222", "[::1]:4222" */
  readonly server: string;
  readonly clock: Clock;
  readonly withinMs: number;
  readonly leaving: AbortSignal;
}

export interface Greeting {
  /** "offered": whoever connects may speak TLS from then on, or not. */
  readonly tls: "none" | "offered" | "required";
}

/** Resolves when the server has spoken; rejects with an Error whose words say why it has not. Leaves no socket behind. */
export function greeted({ server, clock, withinMs, leaving }: GreetingOptions): Promise<Greeting> {
  const colon = server.lastIndexOf(":");
  const host = server.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const { promise, resolve, reject } = Promise.withResolvers<Greeting>();
  const socket = connect({ host, port: Number(server.slice(colon + 1)) });
  let said = "";
  const timer = clock.after(withinMs, () => reject(new Error(`it said nothing within ${withinMs} ms`)));
  const leave = (): void => reject(new Error("the store was closed"));
  leaving.addEventListener("abort", leave, { once: true });
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("it ended the connection")));
  socket.on("data", (chunk: Buffer) => {
    said += chunk.toString("latin1");
    const end = said.indexOf("\n");
    const greeting = end < 0 ? null : greetingIn(said.slice(0, end));
    if (greeting !== null) resolve(greeting);
    else if (end >= 0 || said.length > GREETING_BYTES_MAX || !isFirstWord(said))
      reject(new Error("it does not speak NATS' protocol"));
  });
  return promise.finally(() => {
    timer.cancel();
    leaving.removeEventListener("abort", leave);
    socket.destroy();
  });
}

function isFirstWord(said: string): boolean {
  return said.length < FIRST_WORD.length ? FIRST_WORD.startsWith(said) : said.startsWith(FIRST_WORD);
}

/** Null where the line is none. */
function greetingIn(line: string): Greeting | null {
  const info = line.startsWith(FIRST_WORD) ? parsed(line.slice(FIRST_WORD.length)) : null;
  if (typeof info !== "object" || info === null || Array.isArray(info)) return null;
  const says = (name: string): boolean => Reflect.get(info, name) === true;
  return { tls: says("tls_required") ? "required" : says("tls_available") ? "offered" : "none" };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON, so no greeting.
    return null;
  }
}
