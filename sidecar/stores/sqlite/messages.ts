// What the event loop and a database thread say to each other.
import type { Found, KeyRange, ListPage, ListRequest, StoreErrorCode } from "../store.ts";
import type { Location } from "./connection-string.ts";
import type { Tables } from "./statements.ts";

/** What a thread is started with. */
export interface ThreadSettings {
  readonly location: Location;
  readonly tables: Tables;
  readonly busyTimeoutMs: number;
  readonly disableWal: boolean;
  /** The thread only reads: SQLite itself then refuses a write. */
  readonly readsOnly: boolean;
}

/** One change, with everything decided that needs chance or the caller. */
export interface RowChange {
  readonly key: string;
  /** Null: remove the row. Owns its memory, which moves to the other thread. */
  readonly value: Uint8Array<ArrayBuffer> | null;
  readonly isJson: boolean;
  readonly ifEtag: string | null;
  readonly ifAbsent: boolean;
  readonly newEtag: string;
  readonly ttlSec: number | null;
}

export type Job =
  | { readonly kind: "get"; readonly key: string }
  | { readonly kind: "getMany"; readonly keys: readonly string[] }
  | { readonly kind: "list"; readonly request: ListRequest }
  /** Counts rows of a range from a position on. */
  | { readonly kind: "count"; readonly range: KeyRange; readonly after: string | null }
  | { readonly kind: "removeRange"; readonly range: KeyRange; readonly limit: number }
  | { readonly kind: "apply"; readonly changes: readonly RowChange[] }
  /** Removes expired rows; `claim` asks first whether another sidecar did so within the interval. */
  | { readonly kind: "cleanup"; readonly intervalMs: number; readonly claim: boolean }
  | { readonly kind: "ping" };

export interface CountStep {
  readonly count: number;
  /** Where to count on; null at the end of the range. */
  readonly next: string | null;
}

/** Whether a job may have changed something when its answer is lost. */
export function isChange({ kind }: Job): boolean {
  return kind === "apply" || kind === "removeRange";
}

/** What each kind of job is answered with. */
export interface Results {
  readonly get: Found | null;
  /** In the order of the keys; of the first keys only when their values are large, of one at least. */
  readonly getMany: readonly (Found | null | Failure)[];
  readonly list: ListPage;
  readonly count: CountStep;
  /** Rows removed. */
  readonly removeRange: number;
  readonly apply: null;
  /** Rows removed. */
  readonly cleanup: number;
  readonly ping: null;
}

/** A StoreError on its way between threads. */
export interface Failure {
  readonly code: StoreErrorCode;
  readonly message: string;
}

export type Answer = { readonly result: Results[Job["kind"]] } | { readonly failure: Failure };

/** To a thread. A batch is one database transaction. */
export type Order =
  | { readonly kind: "batch"; readonly nowMs: number; readonly jobs: readonly Job[] }
  | { readonly kind: "close" };

/** From a thread: one report after its start, then one per batch. Answers stand in the order of the jobs. */
export type Report =
  | { readonly kind: "opened"; readonly journalMode: string }
  | { readonly kind: "refused"; readonly failure: Failure }
  | { readonly kind: "answers"; readonly answers: readonly Answer[] };
