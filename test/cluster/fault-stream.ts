// A watch's bytes on their way through the fault proxy, and the ways in which they arrive broken.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Chance } from "./seeded.ts";

/** What can happen in the middle of a watch that began well. */
export const STREAM_FAULTS = [
  "cut within an object",
  "end within an object",
  "end",
  "garbage line",
  "garbage bytes",
  "silence",
  "stale bookmark",
  "410 event",
  "crumbs",
] as const;
export type StreamFault = (typeof STREAM_FAULTS)[number];

/** The fault strikes after at most so many bytes of events. */
const GOOD_BYTES_MAX = 4_000;
const CRUMB_BYTES = 7;
/** A stale bookmark is one of so many versions that went by last. */
const STALE_VERSIONS = 40;

const GONE = {
  type: "ERROR",
  object: { kind: "Status", status: "Failure", reason: "Expired", code: 410, message: "too old" },
};

export interface StreamCourse {
  readonly fault: StreamFault;
  readonly chance: Chance;
  /** Versions that watches brought to the client so far, the newest last; grows by those of this one. */
  readonly versions: string[];
}

/** Passes a watch on from `source` to `answer` until `fault` strikes. Resolves when no more will be passed on. */
export async function brokenStream(
  source: IncomingMessage,
  answer: ServerResponse,
  { fault, chance, versions }: StreamCourse,
): Promise<void> {
  const goodBytes = chance.whole(GOOD_BYTES_MAX);
  let passed = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    if (fault === "crumbs") {
      await passInCrumbs(chunk, answer);
      continue;
    }
    passed += chunk.length;
    if (passed < goodBytes) {
      remember(chunk, versions);
      await pass(chunk, answer);
      continue;
    }
    if (fault === "stale bookmark") remember(wholeLines(chunk), versions);
    const isOver = strike({ fault, chunk, answer, stale: chance.oneOf(["1", ...versions.slice(-STALE_VERSIONS)]) });
    if (isOver) return;
    passed = Number.NEGATIVE_INFINITY;
  }
  answer.end();
}

interface Strike {
  readonly fault: Exclude<StreamFault, "crumbs">;
  readonly chunk: Buffer;
  readonly answer: ServerResponse;
  /** A version that is behind what was sent. */
  readonly stale: string;
}

/** False when the watch goes on as if nothing had happened. */
function strike({ fault, chunk, answer, stale }: Strike): boolean {
  const half = chunk.subarray(0, Math.max(1, chunk.length >> 1));
  switch (fault) {
    case "cut within an object":
      answer.write(half, () => answer.destroy());
      return true;
    case "end within an object":
      answer.end(half);
      return true;
    case "end":
      answer.end();
      return true;
    case "garbage line":
      answer.write("\u0000\u0007 this is no JSON {{{\n");
      answer.write(chunk);
      return false;
    case "garbage bytes":
      answer.write(Buffer.concat([half, Buffer.from([0xff, 0xfe, 0x00, 0x7b]), chunk.subarray(half.length)]));
      return false;
    case "silence":
      return true;
    case "stale bookmark":
      answer.write(wholeLines(chunk));
      answer.write(`${JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion: stale } } })}\n`);
      answer.end();
      return true;
    case "410 event":
      answer.write(`${JSON.stringify(GONE)}\n`);
      return false;
  }
}

function remember(bytes: Buffer, versions: string[]): void {
  for (const [, version] of bytes.toString("latin1").matchAll(/"resourceVersion":"(\d+)"/g)) {
    if (version !== undefined) versions.push(version);
  }
}

function wholeLines(chunk: Buffer): Buffer {
  return chunk.subarray(0, chunk.lastIndexOf("\n") + 1);
}

async function passInCrumbs(chunk: Buffer, answer: ServerResponse): Promise<void> {
  for (let start = 0; start < chunk.length; start += CRUMB_BYTES) {
    await pass(chunk.subarray(start, start + CRUMB_BYTES), answer);
  }
}

async function pass(bytes: Buffer, answer: ServerResponse): Promise<void> {
  if (!answer.write(bytes) && !answer.destroyed) await Promise.race([once(answer, "drain"), once(answer, "close")]);
}
