// Every command that a page shows: run against a fresh `pannier run`, or parsed by the real command line.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { CHECK_FLAGS } from "#cli/check-verb.ts";
import { dispatch } from "#cli/dispatch.ts";
import { INJECT_FLAGS } from "#cli/inject-flags.ts";
import { RUN_FLAGS, RUN_FLAGS_WITHOUT_EFFECT } from "#cli/run/flags.ts";
import { VERBS } from "#cli/verbs.ts";
import { OPERATOR_FLAGS } from "#operator/flags.ts";
import { DAPRD_FLAGS } from "#sidecar/daprd-flags.ts";
import { Bench } from "#test/cli/pannier.ts";
import { freePort } from "#test/servers/free-port.ts";
import { testHost } from "#test/unit/cli/output.ts";
import { type Block, ROOT, readPage, readPages } from "./pages.ts";

const shell = promisify(execFile);

/** Pages whose blocks are run in their order, one sidecar for a page. */
const RUN = ["README.md", "docs/actors.md", "docs/http-api.md", "docs/own-api.md", "docs/query.md"];

/** Blocks that are not run here: how they begin, and why. */
const NOT_RUN: readonly { readonly page: string; readonly begins: string; readonly why: string }[] = [
  {
    page: "README.md",
    begins: "npm ci && npm start",
    why: "start.test.ts starts a copy; `npm ci` made the node_modules that this test runs from; `npm test` is this run",
  },
  { page: "README.md", begins: "/path/to/pannier/", why: "app.test.ts runs it, with an app and this checkout's path" },
  { page: "docs/stores/sqlite.md", begins: "sqlite3 ", why: "layouts.test.ts runs its SQL through node:sqlite" },
  {
    page: "docs/stores/aws.dynamodb.md",
    begins: "aws ",
    why: "dynamodb-layout.test.ts runs the same by Amazon's client",
  },
  {
    page: "docs/stores/azure.cosmosdb.md",
    begins: "az cosmosdb sql ",
    why: "it takes an account of Azure; opening.test.ts and cosmosdb.ts make containers with the same settings",
  },
  {
    page: "docs/stores/jetstream.md",
    begins: "nats kv ",
    why: "jetstream-layout.test.ts does the same with NATS' own key-value client",
  },
  { page: "docs/stores/zookeeper.md", begins: "zkCli.sh ", why: "zookeeper-layout.test.ts runs them in that client" },
  { page: "docs/stores/etcd.md", begins: "etcdctl ", why: "etcd-layout.test.ts asks the same of etcd's own gateway" },
  {
    page: "docs/stores/azure.blobstorage.md",
    begins: "az ",
    why: "azure-storage-layout.test.ts asks the same by a client",
  },
  {
    page: "docs/stores/azure.tablestorage.md",
    begins: "az ",
    why: "azure-storage-layout.test.ts asks the same by a client",
  },
  { page: "docs/stores/memcached.md", begins: "printf ", why: "memcached-layout.test.ts sends it to a memcached" },
  { page: "docs/stores/redis.md", begins: "redis-cli ", why: "layouts.test.ts sends its commands by a client" },
];

/** For curl: an error status is an error, and nothing but the answer is printed. */
const CURL_SETTINGS = "fail-with-body\nsilent\nshow-error\n";

const pages = readPages();

describe("shell blocks in the docs", () => {
  const blocks = pages.flatMap((page) => page.blocks).filter(({ language }) => language === "sh");
  const excuseOf = (block: Block): (typeof NOT_RUN)[number] | undefined =>
    NOT_RUN.find(({ page, begins }) => page === block.page && block.text.startsWith(begins));

  it("are run, or listed with the reason why not", () => {
    const forgotten = blocks.filter((block) => !RUN.includes(block.page) && excuseOf(block) === undefined);
    assert.deepEqual(
      forgotten.map(({ page, line }) => `${page}:${line}`),
      [],
    );
    const stale = NOT_RUN.filter((excuse) => !blocks.some((block) => excuseOf(block) === excuse));
    assert.deepEqual(stale, []);
  });

  for (const path of RUN) {
    describe(path, () => {
      const bench = new Bench();
      let port: string;
      let home: string;

      before(async () => {
        home = await bench.folder();
        await writeFile(join(home, ".curlrc"), CURL_SETTINGS);
        const ports = await Promise.all([freePort(), freePort(), freePort()]);
        port = String(ports[0]);
        const flags = ["-H", port, "-G", String(ports[1]), "-M", String(ports[2])];
        await bench.start(["run", ...flags], { cwd: await bench.folder() }).says(/curl/);
      });
      after(() => bench.clear());

      /** Gives what the block prints; rejects unless every command ends with 0. */
      async function run(script: string): Promise<string> {
        const env = { PATH: process.env.PATH, CURL_HOME: home };
        const here = script.replaceAll("localhost:3500", `localhost:${port}`);
        return (await shell("sh", ["-ec", here], { env })).stdout;
      }

      for (const block of blocks.filter((each) => each.page === path && excuseOf(each) === undefined)) {
        it(`line ${block.line} works`, async () => {
          const printed = await run(block.text);
          const promise = promisedAfter(block);
          if (promise !== null) assert.equal(printed, promise);
        });
      }
    });
  }

  it("include the answer that README.md promises byte for byte", () => {
    assert.equal(blocks.map(promisedAfter).filter((promise) => promise !== null).length, 1);
  });
});

/** What the sentence after a block says that its last command answers: "The second answers `…`". */
function promisedAfter(block: Block): string | null {
  const lines = readPage(block.page).text.split("\n");
  // Behind the block: its closing fence, an empty line, the sentence.
  const sentence = lines[block.line + block.text.split("\n").length + 1] ?? "";
  return /^The second answers `([^`]+)`/.exec(sentence)?.[1] ?? null;
}

describe("command lines in the docs", () => {
  // What a line of a block without a language shows counts as well: the usage lines of docs/cli.md.
  const lines = pages.flatMap(({ path, spans, blocks }) =>
    [...spans, ...blocks.filter(({ language }) => language === "").flatMap(({ text }) => text.split("\n"))].map(
      (text) => ({ path, text }),
    ),
  );

  const shown = lines.flatMap(({ path, text }) => {
    const words = /^(?:pannier|npm run pannier --) (.+)$/.exec(text)?.[1];
    return words === undefined || words.startsWith("VERB") ? [] : [{ path, words }];
  });

  for (const words of new Set(shown.map((each) => each.words))) {
    it(`pannier ${words}: is understood`, async () => {
      for (const [verb, ...rest] of spelledOut(words)) {
        const host = testHost();
        // With --help the verb reads its whole line and does nothing else.
        const argv = verb === "help" ? ["help", ...rest] : [verb ?? "", "--help", ...rest];
        assert.equal(await dispatch(argv, host), 0, host.stderr.text);
        assert.match(host.stdout.text, /^Usage:$/m);
      }
    });
  }

  it("name every verb", () => {
    const named = new Set(shown.map(({ words }) => words.split(" ")[0]));
    assert.deepEqual(
      Object.keys(VERBS).filter((verb) => !named.has(verb)),
      [],
    );
  });

  it("name no flag that there is not", () => {
    const tables: readonly object[] = [CHECK_FLAGS, INJECT_FLAGS, DAPRD_FLAGS, RUN_FLAGS, RUN_FLAGS_WITHOUT_EFFECT];
    const known = new Set(tables.flatMap((table) => Object.entries<Named>({ ...table }).flatMap(namesOf)));
    // docs/cli.md explains with `--name` how flags are written.
    known.add("name");
    // Node's own, in docs/performance.md.
    known.add("max-semi-space-size");
    for (const name of Object.keys(OPERATOR_FLAGS)) known.add(name);
    // Of the scripts of the test bed.
    for (const name of ["check", "wipe"]) known.add(name);
    // Helm's own, in docs/kubernetes.md.
    known.add("take-ownership");
    // etcd's own, and etcdctl's, in docs/stores/etcd.md.
    for (const name of ["max-txn-ops", "max-request-bytes", "quota-backend-bytes", "prefix"]) known.add(name);
    // Of redis-cli, in docs/stores/redis.md.
    for (const name of ["scan", "pattern"]) known.add(name);
    // The AWS command line's own, in docs/stores/aws.dynamodb.md.
    for (const name of ["table-name", "billing-mode", "attribute-definitions", "key-schema"]) known.add(name);
    for (const name of ["time-to-live-specification", "statement"]) known.add(name);
    // Of the nats command, in docs/stores/jetstream.md.
    for (const name of ["max-bucket-size", "max-value-size", "allow-direct"]) known.add(name);
    // curl's own, in docs/http-api.md.
    known.add("http2-prior-knowledge");
    const unknown = lines.flatMap(({ path, text }) =>
      [...text.matchAll(/(?<=^|[ [])--([a-z][a-z0-9-]*)/g)]
        .filter((match) => !known.has(match[1] ?? ""))
        .map((match) => `${path}: ${match[0]}`),
    );
    assert.deepEqual(unknown, []);
  });

  it("name no script of npm that there is not", async () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8"));
    const named = lines.flatMap(({ path, text }) => {
      const [, script = ""] = /^npm (?:run )?([a-z:]+)/.exec(text) ?? [];
      // npm's own.
      return ["", "ci", "exec"].includes(script) ? [] : [{ path, script }];
    });
    assert.ok(named.length > 5);
    assert.deepEqual(
      named.filter(({ script }) => !(script in scripts)),
      [],
    );
  });
});

/** What the search for a flag needs, whichever table it stands in. */
interface Named {
  readonly aliases?: readonly string[];
}

function namesOf([name, { aliases }]: [string, Named]): string[] {
  return [name, ...(aliases ?? [])];
}

/** The command lines that a usage line stands for: "[--output text|json] PATH..." for two. */
function spelledOut(words: string): string[][] {
  const plain = words.replaceAll(/\[flags\] ?|[[\]]|\.\.\.|…/g, "").trim();
  const choice = plain.split(" ").find((word) => word.includes("|"));
  const lines = choice === undefined ? [plain] : choice.split("|").map((word) => plain.replace(choice, word));
  return lines.map((line) => line.split(" ").filter((word) => word !== "VERB"));
}
