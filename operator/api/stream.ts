// One stream: writes a feed's lines into an answer as fast as the sidecar takes them, and heartbeats. Knows no rights.
import type { ServerResponse } from "node:http";
import { HEARTBEAT_MS } from "#crds/distribution.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { type Feed, HEARTBEAT } from "./publish.ts";

/** Why a stream ended; the metric's label. */
export type StreamEnd = "client" | "slow" | "revoked" | "replaced" | "aged" | "shutdown";

/** A sidecar that takes nothing of what is waiting for so long is cut off, in milliseconds. */
export const SLOW_MS = 20_000;
/**
 * Lines go out in parts of so many bytes, each when the one before is with the kernel. Node's TLS keeps for each
 * connection as much memory as was ever on the way at once: with 5,000 streams every KiB here is 5 MiB.
 */
const PART_BYTES = 8 * 1024;
/** A heartbeat comes up to this part earlier than it must, so that not all come at once. */
const HEARTBEAT_JITTER = 0.3;

export interface StreamOptions {
  readonly feed: Feed;
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly random: Random;
  readonly slowMs?: number;
  readonly onEnd: (cause: StreamEnd) => void;
}

export class ResourceStream {
  readonly #options: StreamOptions;
  #heartbeat: Timer | null = null;
  /** Runs while a part is on the way, and after the end until the connection has closed. */
  #patience: Timer | null = null;
  #isOnTheWay = false;
  /** What is left of a line that is longer than a part: a view of the shared one. */
  #rest: Buffer | null = null;
  #end: StreamEnd | null = null;

  constructor(options: StreamOptions) {
    this.#options = options;
    const { response } = options;
    response.once("close", () => this.#closed());
    // A connection that breaks in the middle of a write says so here as well as by "close".
    response.on("error", () => undefined);
  }

  /** Sends the head and what there is. */
  start(): void {
    const { response } = this.#options;
    // The connection ends with the stream: a sidecar that comes back may come to another replica.
    response.writeHead(200, {
      "Content-Type": "application/x-ndjson",
      "Cache-Control": "no-store",
      Connection: "close",
    });
    response.flushHeaders();
    this.pump();
    this.#beat();
  }

  /** Writes the next part of what is waiting, unless one is on the way: the rest follows that by itself. */
  pump(): void {
    if (this.#isOnTheWay || this.#end !== null) return;
    const part = this.#nextPart();
    if (part !== null) this.#write(part);
  }

  /** Ends it in order, after what was written already. */
  end(cause: StreamEnd): void {
    if (!this.#stop(cause)) return;
    const { response } = this.#options;
    response.end();
    this.#patience = this.#waitFor(() => response.destroy());
  }

  /** Ends it at once, whatever is on the way. */
  cut(cause: StreamEnd): void {
    if (this.#stop(cause)) this.#options.response.destroy();
  }

  #nextPart(): Buffer | null {
    const lines: Buffer[] = [];
    let bytes = 0;
    while (bytes < PART_BYTES) {
      const line = this.#rest ?? this.#options.feed.next();
      if (line === null) break;
      const room = PART_BYTES - bytes;
      this.#rest = line.length > room ? line.subarray(room) : null;
      lines.push(line.subarray(0, room));
      bytes += Math.min(line.length, room);
    }
    const [first = null] = lines;
    return lines.length > 1 ? Buffer.concat(lines, bytes) : first;
  }

  #write(part: Buffer): void {
    this.#isOnTheWay = true;
    this.#patience = this.#waitFor(() => this.cut("slow"));
    this.#options.response.write(part, () => this.#written());
  }

  #written(): void {
    if (this.#end !== null) return;
    this.#patience?.cancel();
    this.#isOnTheWay = false;
    this.pump();
  }

  #beat(): void {
    const { clock, random } = this.#options;
    this.#heartbeat = clock.after(HEARTBEAT_MS * (1 - HEARTBEAT_JITTER * random.fraction()), () => {
      if (!this.#isOnTheWay) this.#write(HEARTBEAT);
      this.#beat();
    });
  }

  #waitFor(task: () => void): Timer {
    const { clock, slowMs = SLOW_MS } = this.#options;
    return clock.after(slowMs, task);
  }

  /** False when it has ended before. */
  #stop(cause: StreamEnd): boolean {
    if (this.#end !== null) return false;
    this.#end = cause;
    this.#heartbeat?.cancel();
    this.#patience?.cancel();
    this.#options.onEnd(cause);
    return true;
  }

  #closed(): void {
    this.#stop("client");
    this.#patience?.cancel();
  }
}
