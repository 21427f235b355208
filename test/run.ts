// `npm test`: every test but those on a whole node, as several mocha processes, of which some run at once: tests wait for
// clocks and servers more than they compute. What stands behind `npm test --` goes to each. Ends with the sum of all.
//
// PANNIER_TEST_JOBS   how many run at once (2, or 1 where there is one processor)
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { countLine, type Outcome, skipLines, total } from "./summary.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MOCHA = join(ROOT, "node_modules/mocha/bin/mocha.js");

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
  { name: "stores", files: /^test\/conformance\/(?!over)/ },
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
  const folder = mkdtempSync(join(tmpdir(), "pannier-tests-"));
  const waiting = grouped();
  const finished: Finished[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      finished.push(await runGroup(next.name, next.files, join(folder, `${finished.length}-${waiting.length}.json`)));
  };
  await Promise.all(Array.from({ length: jobs() }, worker));
  rmSync(folder, { recursive: true });
  const all = total(finished.map(({ outcome }) => outcome));
  const failures = finished.flatMap(({ group, outcome }) =>
    outcome.failed.map((each) => `failed in ${group}: ${each}`),
  );
  process.stdout.write(["", ...failures, ...skipLines(all), countLine(all), ""].join("\n"));
  return all.failed.length === 0 ? 0 : 1;
}

function jobs(): number {
  const given = process.env.PANNIER_TEST_JOBS;
  if (given === undefined) return Math.min(2, availableParallelism());
  if (!/^[1-9][0-9]?$/.test(given)) throw new Error(`PANNIER_TEST_JOBS: got ${given}, want a number from 1 to 99`);
  return Number(given);
}

function grouped(): { readonly name: string; readonly files: readonly string[] }[] {
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
async function runGroup(name: string, files: readonly string[], summary: string): Promise<Finished> {
  const began = performance.now();
  process.stdout.write(`== ${name}: started\n`);
  const child = spawn(process.execPath, [MOCHA, ...process.argv.slice(2), ...files], {
    cwd: ROOT,
    env: { ...process.env, PANNIER_TEST_SUMMARY: summary },
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
