// What stands between the suite and a store: nothing when it calls the driver itself, else the API of a running sidecar,
// which changes some things by design. Data, so that a case says what it needs and no case asks for a protocol by name.
import { LIST_BYTES_MAX } from "#sidecar/stores/store.ts";
import type { Context } from "./case.ts";
import { json } from "./requests.ts";
import type { Subject } from "./subject.ts";

export interface Surface {
  /** "driver": the life of the opened store is the suite's. "api": a sidecar opened it, keeps it and closes it. */
  readonly calls: "driver" | "api";
  /** A key with two bars behind its prefix is taken, or no key of the API (dapr-state-api.md 5). */
  readonly keysWithBars: "taken" | "refused";
  /** White space before and after a JSON value is part of it, or of the body around it. */
  readonly spaceAroundJson: "kept" | "dropped";
  /** The ETag of a delete is a text, or the value of a header: that has no space at its ends, and may stand in quotes. */
  readonly removalEtag: "text" | "header";
  /** Raw bytes that are text come as bytes, or in JSON as a string, in reads of many values (differences.md V2). */
  readonly manyRawTexts: "bytes" | "json-string";
  /** Expiry is told in steps of this many milliseconds, the last one begun (dapr-state-api.md 1.6). */
  readonly toldExpiryStepMs: number;
  /** A page of a walk with values ends at the latest when they have this many bytes together, give or take one value. */
  readonly pageBytesMax: number;
}

const DRIVER: Surface = {
  calls: "driver",
  keysWithBars: "taken",
  spaceAroundJson: "kept",
  removalEtag: "text",
  manyRawTexts: "bytes",
  toldExpiryStepMs: 1,
  pageBytesMax: LIST_BYTES_MAX,
};

export function surfaceOf({ surface }: Subject): Surface {
  return surface ?? DRIVER;
}

/** What a read of many values gives where one was written raw; `bytes` are text and no JSON. */
export function manyRawText({ subject }: Context, bytes: Uint8Array): Uint8Array {
  return surfaceOf(subject).manyRawTexts === "bytes" ? bytes : json(Buffer.from(bytes).toString());
}

export const isDriver = (subject: Subject): boolean => surfaceOf(subject).calls === "driver";
export const isApi = (subject: Subject): boolean => surfaceOf(subject).calls === "api";
export const takesBars = (subject: Subject): boolean => surfaceOf(subject).keysWithBars === "taken";
export const refusesBars = (subject: Subject): boolean => surfaceOf(subject).keysWithBars === "refused";
export const keepsSpaceAround = (subject: Subject): boolean => surfaceOf(subject).spaceAroundJson === "kept";
