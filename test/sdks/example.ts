// An example of examples/, started as its README says, in a clean clone, with the unmodified SDK from its registry. What it
// prints has to be what docs/sdks.md promises for it; an answer that is not as it should be makes it end with an error.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { parsePage } from "#test/docs/pages.ts";
import { type RedisServer, redisMissing, startRedis } from "#test/servers/redis.ts";
import { isRequired } from "#test/servers/required.ts";
import { component } from "#test/wire/sidecar.ts";
import { makeClone, removeClone } from "./clone.ts";
import { type Finished, runCommand } from "./command.ts";
import { allSamples, EXAMPLES, samplesOf } from "./sdk-page.ts";

export interface Example {
  /** The folder in examples/. */
  readonly folder: string;
  /** The columns of docs/sdks.md, in the order in which the README starts the example. */
  readonly columns: readonly string[];
  /** Programs that have to be there besides Node. */
  readonly tools: readonly Tool[];
}

export interface Tool {
  readonly name: string;
  /** What makes it tell its version. */
  readonly versionArgument: string;
  /** How to get it. */
  readonly from: string;
}

/** Downloads everything on a new machine, over a registry's slow hour. */
const INSTALL_WITHIN_MS = 300_000;
/** Some programs fetch and compile their SDK when they start: minutes on two cores, seconds the next time. */
const RUN_WITHIN_MS = 400_000;
const RUN_PREFIX = "npm run pannier -- run ";
const MANIFESTS = "examples/components";

/** Tests of an example; where a tool is missing they are pending, with the reason in the title. */
export function describeExample(title: string, example: Example): void {
  const missing = example.tools.map(whyMissing).find((why) => why !== null);
  if (missing === undefined) describe(title, () => testExample(example));
  else
    describe.skip(`${title} (not run: ${missing})`, () => {
      testExample(example);
    });
}

/** Why a tool cannot be used, or null. One that PANNIER_TEST_REQUIRE names is never missing: without it the tests fail. */
function whyMissing({ name, versionArgument, from }: Tool): string | null {
  if (isRequired(name)) return null;
  const { error } = spawnSync(name, [versionArgument], { stdio: "ignore" });
  return error === undefined ? null : `${name} cannot be run (${error.message}): install ${from}`;
}

function testExample({ folder, columns }: Example): void {
  const commands = commandsOf(folder);
  const starts = commands.filter((line) => line.startsWith(RUN_PREFIX));
  const installs = commands.filter((line) => !line.startsWith(RUN_PREFIX));
  let clone: string;

  before(async function () {
    this.timeout(INSTALL_WITHIN_MS * (installs.length + 1));
    clone = await makeClone();
    for (const line of installs) {
      const { code, output } = await run(line, clone, INSTALL_WITHIN_MS);
      assert.equal(code, 0, `${line}\n${output}`);
    }
  });
  after(() => removeClone(clone));

  it("is started once for each protocol", () => {
    assert.equal(starts.length, columns.length);
  });

  for (const [index, column] of columns.entries()) {
    const line = starts[index] ?? "";
    it(`runs the samples: ${column}`, async function () {
      this.timeout(RUN_WITHIN_MS + 5_000);
      checkRun(await run(line, clone, RUN_WITHIN_MS), column);
    });
  }

  describeOnRedis((manifests) => {
    for (const [index, column] of columns.entries()) {
      it(`runs the samples: ${column}`, async function () {
        this.timeout(RUN_WITHIN_MS + 5_000);
        const line = (starts[index] ?? "").replace(MANIFESTS, manifests());
        // The sidecar demands it, the SDK finds it in the same variable.
        checkRun(await run(line, clone, RUN_WITHIN_MS, { DAPR_API_TOKEN: "sesame" }), column);
      });
    }
  });
}

/** The same against a Redis of the tests' own; the body gets the folder of its manifest. */
function describeOnRedis(body: (manifests: () => string) => void): void {
  const missing = redisMissing();
  if (missing !== null) {
    describe.skip(`on Redis (not run: ${missing})`, () => body(() => ""));
    return;
  }
  describe("on Redis, with an API token", () => {
    let redis: RedisServer;
    let folder: string;
    before(async () => {
      redis = await startRedis();
      folder = await mkdtemp(join(tmpdir(), "pannier-sdks-redis-"));
      const fields = { redisHost: `${redis.host}:${redis.port}`, actorStateStore: "true" };
      await writeFile(join(folder, "statestore.yaml"), component("statestore", "state.redis", fields));
    });
    after(async () => {
      await redis.stop();
      await rm(folder, { recursive: true });
    });
    body(() => folder);
  });
}

/** The commands of the README's shell block, one by one. */
function commandsOf(folder: string): readonly string[] {
  const path = `${EXAMPLES}${folder}/README.md`;
  const [block, ...more] = parsePage(path, readFileSync(path, "utf8")).blocks.filter(
    ({ language }) => language === "sh",
  );
  assert.deepEqual([block !== undefined, more], [true, []], `${path}: want one shell block`);
  return (block?.text ?? "").trimEnd().split(/ && |\n/);
}

function run(line: string, cwd: string, withinMs: number, more: NodeJS.ProcessEnv = {}): Promise<Finished> {
  // A reader's shell has none of the variables that npm sets for this very test.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  return runCommand(line, { cwd, env: { ...env, ...more }, withinMs });
}

function checkRun({ code, output }: Finished, column: string): void {
  assert.equal(code, 0, output);
  const said = [...stripVTControlCharacters(output).matchAll(/^== APP == (.+?): /gm)].map((match) => match[1] ?? "");
  const samples = samplesOf(column);
  assert.ok(samples.length > 5);
  // An SDK says things of its own between them.
  const known = new Set(allSamples());
  assert.deepEqual(
    said.filter((name) => known.has(name)),
    samples,
    output,
  );
}
