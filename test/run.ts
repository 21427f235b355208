// `npm test`: every test but those on a whole node, as several mocha processes, of which some run at once: tests wait for
// clocks and servers more than they compute. What stands behind `npm test --` goes to each. Ends with the sum of all, to
// which belongs whether the stores did what docs/stores-run.json tells of them.
//
// PANNIER_TEST_JOBS   how many run at once (2, or 1 where there is one processor)
// --record            runs only the stores, and writes that file anew with the tables that are made from it
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compareRecords, mergedRecords, unrecorded } from "./conformance/comparison.ts";
import { commitRecords, committedRecords, RECORD_FILE, type Records, recordsIn } from "./conformance/record.ts";
import { isRequired } from "./servers/required.ts";
import { countLine, type Outcome, skipLines, total } from "./summary.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MOCHA = join(ROOT, "node_modules/mocha/bin/mocha.js");

/** The group that leaves records. */
const STORES = "stores";

const RECORD = "--record";
const ARGUMENTS = process.argv.slice(2);

interface Group {
  readonly name: string;
  readonly files: RegExp;
}

/**
 * The longest first, so that none is left alone at the end. What shares one Kubernetes API server is one group. A file
 * belongs to the first group that it fits; `test/node/` has a command of its own.
 */
const GROUPS: readonly Group[] = [
  { name: "Kubernetes", files: /^test\/(kube|chart|golden|differences)\// },
  { name: STORES, files: /^test\/conformance\/(?!over)/ },
  { name: "stores over the wire", files: /^test\/conformance\// },
  { name: "units", files: /^test\/unit\// },
  { name: "faults and interchange", files: /^test\/(faults|interchange)\// },
  { name: "wire", files: /^test\/wire\// },
  { name: "SDKs and samples", files: /^test\/(sdks|samples)\// },
  { name: "the rest", files: /^test\/(?!node\/)/ },
];

/** After so long a group is ended, so that what it has printed is seen. */
const GROUP_MS_MAX = 40 * 60_000;

interface Finished {
  readonly group: string;
  readonly outcome: Outcome;
}

async function main(): Promise<number> {
  if (ARGUMENTS.includes(RECORD) && ARGUMENTS.length > 1)
    throw new Error(`${RECORD} is of whole runs: got ${ARGUMENTS.join(" ")}, want it alone`);
  const folder = mkdtempSync(join(tmpdir(), "pannier-tests-"));
  const records = join(folder, "records");
  mkdirSync(records);
  const isRecording = ARGUMENTS.includes(RECORD);
  const waiting = grouped().filter(({ name }) => !isRecording || name === STORES);
  const finished: Finished[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      finished.push(await runGroup(next, records, join(folder, `${finished.length}-${waiting.length}.json`)));
  };
  await Promise.all(Array.from({ length: jobs() }, worker));
  const recorded = recordsIn(records);
  rmSync(folder, { recursive: true });
  const hasFailed = finished.some(({ outcome }) => outcome.failed.length > 0);
  const isWhole = ARGUMENTS.length === 0 && !hasFailed;
  if (!isRecording) finished.push({ group: "the record of the stores", outcome: compared(recorded, isWhole) });
  else if (!hasFailed) await record(recorded);
  else process.stdout.write(`${RECORD_FILE} is as it was: a record is of a run in which nothing failed\n`);
  const all = total(finished.map(({ outcome }) => outcome));
  const failures = finished.flatMap(({ group, outcome }) =>
    outcome.failed.map((each) => `failed in ${group}: ${each}`),
  );
  process.stdout.write(["", ...failures, ...skipLines(all), countLine(all), ""].join("\n"));
  return all.failed.length === 0 ? 0 : 1;
}

/** A failure for each subject that did something else than the committed record tells; in a run of all, for each that is not there. */
function compared(recorded: Records, isWhole: boolean): Outcome {
  const committed = committedRecords();
  const { differences, notes } = compareRecords(recorded, committed, isRequired);
  for (const note of notes) process.stdout.write(`note: ${note}\n`);
  return { passed: 0, failed: [...differences, ...(isWhole ? unrecorded(recorded, committed) : [])], skipped: [] };
}

async function record(recorded: Records): Promise<void> {
  const { records, kept } = mergedRecords(recorded, committedRecords());
  for (const name of kept) process.stdout.write(`note: ${name}: it did not run here, so its old record stays\n`);
  commitRecords(records);
  // It loads every driver, which no other run has to.
  const { writePages } = await import("../docs/generate.ts");
  await writePages();
}

function jobs(): number {
  const given = process.env.PANNIER_TEST_JOBS;
  if (given === undefined) return Math.min(2, availableParallelism());
  if (!/^[1-9][0-9]?$/.test(given)) throw new Error(`PANNIER_TEST_JOBS: got ${given}, want a number from 1 to 99`);
  return Number(given);
}

interface Filled {
  readonly name: string;
  readonly files: readonly string[];
}

function grouped(): Filled[] {
  const files = readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts"))
    .map((path) => `test/${path}`)
    .sort();
  const groupOf = (file: string): Group | undefined => GROUPS.find((group) => group.files.test(file));
  return GROUPS.map((group) => ({ name: group.name, files: files.filter((file) => groupOf(file) === group) })).filter(
    (group) => group.files.length > 0,
  );
}

/** Prints what the group printed when it is over, in one piece. */
async function runGroup({ name, files }: Filled, records: string, summary: string): Promise<Finished> {
  const began = performance.now();
  process.stdout.write(`== ${name}: started\n`);
  const child = spawn(process.execPath, [MOCHA, ...ARGUMENTS.filter((each) => each !== RECORD), ...files], {
    cwd: ROOT,
    env: { ...process.env, PANNIER_TEST_SUMMARY: summary, PANNIER_TEST_RECORD: records },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), GROUP_MS_MAX);
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  clearTimeout(timer);
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  process.stdout.write(`${Buffer.concat(output)}== ${name}: ${minutes} minutes, exit code ${code}\n`);
  return { group: name, outcome: outcomeOf(summary, code) };
}

/** A process that ended without a word, or in a bad way after the last test, is one more failure. */
function outcomeOf(summary: string, code: number | string | null): Outcome {
  let outcome: Outcome = { passed: 0, failed: [], skipped: [] };
  try {
    outcome = JSON.parse(readFileSync(summary, "utf8"));
  } catch (error) {
    return { ...outcome, failed: [`it ended with ${code} before its last test (${error})`] };
  }
  if (code === 0 || outcome.failed.length > 0) return outcome;
  return { ...outcome, failed: [`it ended with ${code} after its last test`] };
}

process.exitCode = await main();
