// What a run of the suite came to, subject by subject, and docs/stores-run.json, which holds the last one: the tables of
// docs/stores.md and README.md are made from it. `npm run record` makes it anew. Knows no subject and runs nothing.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Features, Traits } from "#sidecar/stores/store.ts";
import type { Told } from "./told.ts";

/** What became of one subject. */
export interface SubjectRecord {
  /** What its servers said that they are; empty where there is none to ask, or none was started. */
  readonly servers: Told;
  /** How far the suite could go with its server; "none" also where a server was only lent. */
  readonly server: "none" | "restart" | "pause";
  readonly features: Features;
  readonly values: Traits["values"];
  /** As many as its declaration chooses. */
  readonly cases: number;
  readonly passed: number;
  readonly failed: number;
  /** The cases left out because an emulator gets them wrong, each with the reason. */
  readonly excepted: Readonly<Record<string, string>>;
  /** Why none of the cases ran; null when they did. */
  readonly skipped: string | null;
}

/** By the names of the subjects. */
export type Records = Readonly<Record<string, SubjectRecord>>;

/** The committed file, as sentences name it. */
export const RECORD_FILE = "docs/stores-run.json";

const PATH = fileURLToPath(new URL(`../../${RECORD_FILE}`, import.meta.url));

/** What is committed. */
export function committedRecords(): Records {
  return JSON.parse(readFileSync(PATH, "utf8"));
}

/** In one order, so that two runs of the same leave the same file. */
export function commitRecords(records: Records): void {
  writeFileSync(PATH, recordText(records));
}

export function recordText(records: Records): string {
  const names = Object.keys(records).sort();
  return `${JSON.stringify(Object.fromEntries(names.map((name) => [name, records[name]])), null, 2)}\n`;
}

/** Puts a subject's record into a folder for all that run; processes that run beside each other have subjects of their own. */
export function leaveRecord(folder: string, name: string, record: SubjectRecord): void {
  writeFileSync(join(folder, `${encodeURIComponent(name)}.json`), JSON.stringify({ [name]: record }));
}

/** Everything that lies in such a folder. */
export function recordsIn(folder: string): Records {
  const found = readdirSync(folder).map((file): Records => JSON.parse(readFileSync(join(folder, file), "utf8")));
  return Object.assign({}, ...found);
}
