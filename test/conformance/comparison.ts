// Compares what a run of the suite left behind with what is committed, or puts the two together. Only subjects that ran are held to it; and another
// version of a server is a difference where PANNIER_TEST_REQUIRE names that server, as in CI, and elsewhere worth a note.
import { RECORD_FILE, type Records, type SubjectRecord } from "./record.ts";

export interface Comparison {
  /** A sentence for each difference. */
  readonly differences: readonly string[];
  /** A sentence for each subject that was not held to what is committed, though it ran. */
  readonly notes: readonly string[];
}

const ANEW = "If that is meant, run `npm run record` and commit what it writes";

/** `isRequired` takes a name as in PANNIER_TEST_REQUIRE. */
export function compareRecords(
  recorded: Records,
  committed: Records,
  isRequired: (server: string) => boolean,
): Comparison {
  const differences: string[] = [];
  const notes: string[] = [];
  for (const [name, now] of Object.entries(recorded)) {
    const before = committed[name];
    if (before === undefined) {
      differences.push(`${name}: ${RECORD_FILE} has no such subject. ${ANEW}`);
      continue;
    }
    // That it did not run is told among the skips.
    if (now.skipped !== null && before.skipped === null) continue;
    const other = otherServer(before, now, isRequired);
    if (other !== null) {
      notes.push(`${name}: ${other}: not compared with ${RECORD_FILE}`);
      continue;
    }
    const found = differencesOf(before, now);
    if (found.length > 0) differences.push(`${name}: ${found.join("; ")}. ${ANEW}`);
  }
  return { differences, notes };
}

/** A sentence for each subject that is committed, and of which a run of everything has left nothing. */
export function unrecorded(recorded: Records, committed: Records): readonly string[] {
  const left = Object.keys(committed).filter((name) => recorded[name] === undefined);
  return left.map((name) => `${name}: it is in ${RECORD_FILE}, and nothing ran it or said why not. ${ANEW}`);
}

/** Why the two are not to be compared; null when they are. */
function otherServer(
  before: SubjectRecord,
  now: SubjectRecord,
  isRequired: (server: string) => boolean,
): string | null {
  if (now.skipped === null && before.skipped !== null) return "it ran here, and where the record was made it did not";
  if (now.server !== before.server)
    return `what can be done to its server is "${now.server}" here, and was "${before.server}"`;
  const names = Object.keys({ ...before.servers, ...now.servers });
  const others = names.filter((each) => now.servers[each] !== before.servers[each]);
  if (others.length === 0 || others.some(isRequired)) return null;
  return `it ran on ${serversOf(now)}, and the record is of ${serversOf(before)}`;
}

function differencesOf(before: SubjectRecord, now: SubjectRecord): readonly string[] {
  const excepted = Object.keys(now.excepted).length;
  // A case that failed is told by itself.
  const isPassing = now.skipped === null && now.failed === 0;
  const pairs: readonly (readonly [what: string, was: string, is: string])[] = [
    ["servers", serversOf(before), serversOf(now)],
    ["cases chosen", String(before.cases), String(now.cases)],
    ["cases passed", String(before.passed), isPassing ? String(now.passed) : String(before.passed)],
    ["cases excepted", String(Object.keys(before.excepted).length), String(excepted)],
    ["reasons of exceptions", textOf(before.excepted), textOf(now.excepted)],
    ["features", textOf(before.features), textOf(now.features)],
    ["values", before.values, now.values],
  ];
  const differing = pairs.filter(([, was, is]) => was !== is);
  return differing.map(([what, was, is]) => `${what}: ${was} in ${RECORD_FILE}, ${is} in this run`);
}

function serversOf({ servers }: SubjectRecord): string {
  const told = Object.values(servers);
  return told.length === 0 ? "none" : told.join(" and ");
}

function textOf(pairs: object): string {
  return JSON.stringify(Object.fromEntries(Object.entries(pairs).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/**
 * What becomes of the committed file after a run: a subject that ran, or never did, is as it was found; one that could not run
 * here keeps what it has, and is named; one that there is no longer is gone.
 */
export function mergedRecords(recorded: Records, committed: Records): { records: Records; kept: readonly string[] } {
  const kept = Object.keys(recorded).filter(
    (name) => recorded[name]?.skipped !== null && committed[name]?.skipped === null,
  );
  const old = Object.fromEntries(Object.entries(committed).filter(([name]) => kept.includes(name)));
  return { records: { ...recorded, ...old }, kept };
}
