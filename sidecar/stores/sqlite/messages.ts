// What the event loop and a database thread say to each other. Types only: both sides read this, neither runs it.
import type { Found, StoreErrorCode } from "../store.ts";
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
  | { readonly kind: "apply"; readonly changes: readonly RowChange[] }
  /** Removes expired rows; `claim` asks first whether another sidecar did so within the interval. */
  | { readonly kind: "cleanup"; readonly intervalMs: number; readonly claim: boolean }
  | { readonly kind: "ping" };

/** What each kind of job is answered with. */
export interface Results {
  readonly get: Found | null;
  /** In the order of the keys; of the first keys only when their values are large, of one at least. */
  readonly getMany: readonly (Found | null | Failure)[];
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
