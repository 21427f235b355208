// Rules about the source that no compiler checks: who may import whom, sizes, calls that have a better place.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { functionsOf, importsOf, parseSource, readSources, referencesOf, type SourceFile } from "./tidy/source.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");
const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

/** Who may import whom: the first rule whose pattern fits a file says which rooms it may use besides its own. */
const DIRECTIONS: readonly (readonly [RegExp, RegExp])[] = [
  [/^kit\//, /^(kit\/|package\.json$)/],
  [/^crds\//, /^(kit|crds)\//],
  [/^sidecar\/stores\/(store|registry)\.ts$/, /^(kit\/|crds\/|sidecar\/stores\/)/],
  [/^sidecar\/state\//, /^(kit\/|sidecar\/(state\/|metrics\.ts|stores\/(store|narrowing)\.ts))/],
  [/^proto\//, /^proto\//],
  [
    /^sidecar\/resiliency\//,
    /^(kit\/|crds\/|sidecar\/(resiliency\/|state\/policies\.ts|metrics\.ts|stores\/store\.ts))/,
  ],
  [/^sidecar\/(configuration|tracing)\//, /^(kit\/|crds\/|sidecar\/(configuration\/|tracing\/|metrics\.ts))/],
  [/^sidecar\/secrets\//, /^(kit|crds|sidecar\/secrets)\//],
  [
    /^sidecar\/components\//,
    /^(kit\/|crds\/|sidecar\/(components\/|secrets\/|state\/|resiliency\/resource\.ts|stores\/(store|registry|packages)\.ts|metrics\.ts|settings\.ts))/,
  ],
  [
    /^sidecar\/http\//,
    /^(kit\/|sidecar\/(http\/|state\/|tracing\/|configuration\/|about\.ts|metrics\.ts|settings\.ts|stores\/store\.ts))/,
  ],
  [
    /^sidecar\/grpc\//,
    /^(kit\/|proto\/|sidecar\/(grpc\/|state\/|tracing\/|configuration\/|about\.ts|metrics\.ts|settings\.ts|stores\/store\.ts))/,
  ],
  [/^sidecar\//, /^(kit|crds|proto|sidecar)\//],
  [/^operator\/kube\//, /^(kit\/|operator\/(kube\/|metrics\.ts))/],
  [/^operator\/inject\//, /^(kit\/|crds\/|operator\/inject\/|package\.json$)/],
  [/^operator\/webhook\//, /^(kit\/|operator\/(webhook\/|certificates\/|metrics\.ts))/],
  [/^operator\/certificates\//, /^(kit\/|crds\/|operator\/(certificates\/|kube\/|metrics\.ts))/],
  [/^operator\/components\//, /^(kit\/|crds\/|operator\/(components\/|kube\/|api\/report-table\.ts|metrics\.ts))/],
  [/^operator\/pods\//, /^(kit\/|crds\/|operator\/(pods\/|kube\/|metrics\.ts))/],
  [
    /^operator\/api\//,
    /^(kit\/|crds\/|operator\/(api\/|certificates\/|components\/resource-table\.ts|kube\/|metrics\.ts))/,
  ],
  // The one place that asks the sidecar's decoder for its opinion on a manifest.
  [/^operator\/judge\.ts$/, /^(kit|crds|sidecar\/(components|stores|state|secrets))\//],
  [/^operator\//, /^(kit|crds|operator)\//],
  [/^cli\//, /^(kit\/|crds\/|sidecar\/|cli\/|operator\/inject\/)/],
  [/^(test|bench|docs|charts|image)\//, /./],
];

/** A driver's folder: its own files, the contract, shared rooms, kit and crds; never another driver, never the registry. */
const DRIVER = /^sidecar\/stores\/([a-z0-9-]+)\//;
/** What drivers of one kind share: no drivers themselves, and they import none. */
const SHARED_BY_DRIVERS = ["azure", "google", "grpc", "sql"];
/** Of these, the one that the others may stand on. */
const GROUND = /^sidecar\/stores\/grpc\//;

const BANNED: Readonly<Record<string, string>> = {
  "Date.now": "take a Clock (kit/clock.ts)",
  "new Date()": "take a Clock (kit/clock.ts)",
  "performance.now": "take a Clock (kit/clock.ts)",
  setTimeout: "take a Clock (kit/clock.ts)",
  setInterval: "take a Clock (kit/clock.ts)",
  "Math.random": "take a Random (kit/random.ts)",
  "crypto.randomUUID": "take a Random (kit/random.ts)",
  randomUUID: "take a Random (kit/random.ts)",
  "process.env": "read it in a main or flags file and hand it on",
  "process.exit": "give an exit code to the main file",
  "process.argv": "read it in a main file and hand it on",
};
const MAY_CALL = /^(kit\/(clock|random)\.ts|(cli|operator|image)\/main\.ts|(test|bench|charts|docs)\/)/;

/** Packages and the modules of Node that have a better way here, with the files that may import them. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  ioredis: /^(sidecar\/stores\/redis|test|bench)\//,
  "js-yaml": /^(crds|cli|charts|docs|test)\//,
  "prom-client": /^(sidecar|operator)\/prometheus\.ts$/,
  "@kubernetes/client-node": /^(operator\/kube\/http-client\.ts|test\/)/,
  express: /^operator\/(api|webhook)\//,
  "@peculiar/x509": /^operator\/certificates\/issue\.ts$/,
  "reflect-metadata": /^operator\/certificates\/issue\.ts$/,
  rfc6902: /^(operator\/inject|test)\//,
  mysql2: /^(sidecar\/stores\/mysql|test)\//,
  pg: /^(sidecar\/stores\/postgresql|test)\//,
  // The exporter of spans takes its headers as that package's Metadata.
  "@grpc/grpc-js": /^(sidecar\/(grpc|tracing|stores\/(etcd|google|grpc|pluggable))|test|bench)\//,
  "@bufbuild/protobuf": /^proto\/generate\.ts$/,
  "@bufbuild/protobuf/wkt": /^proto\/generate\.ts$/,
  // etcd's few messages stand beside their driver: in proto/ the sidecar's own reflection would tell of them.
  "@bufbuild/protobuf/wire": /^(proto|sidecar\/stores\/etcd)\//,
  "@marcbachmann/cel-js": /^sidecar\/resiliency\//,
  "@opentelemetry/api": /^(sidecar\/tracing|test)\//,
  "@opentelemetry/sdk-trace": /^(sidecar\/tracing|test)\//,
  "@opentelemetry/resources": /^(sidecar\/tracing|test)\//,
  "@opentelemetry/exporter-trace-otlp-http": /^sidecar\/tracing\//,
  "@opentelemetry/exporter-trace-otlp-grpc": /^sidecar\/tracing\//,
  "@opentelemetry/exporter-zipkin": /^sidecar\/tracing\//,
  "@aws-sdk/client-dynamodb": /^(sidecar\/stores\/dynamodb|test)\//,
  "@aws-sdk/credential-providers": /^sidecar\/stores\/(packages\.ts$|(dynamodb|postgresql)\/)/,
  "@aws-sdk/rds-signer": /^sidecar\/stores\/(packages\.ts$|postgresql\/)/,
  // Only as a second client: it takes more memory than a driver may.
  "@azure/cosmos": /^test\//,
  "@azure/data-tables": /^test\//,
  "@azure/identity": /^sidecar\/stores\/(packages\.ts$|(azure|sqlserver)\/)/,
  "@azure/storage-blob": /^test\//,
  "@nats-io/kv": /^test\//,
  "@nats-io/transport-node": /^(sidecar\/stores\/jetstream|test)\//,
  "cassandra-driver": /^(sidecar\/stores\/cassandra|test)\//,
  "google-auth-library": /^sidecar\/stores\/(packages\.ts$|google\/)/,
  mongodb: /^(sidecar\/stores\/mongodb|test)\//,
  // Its inside, for what it has no public way for.
  "mongodb/lib/cmap/commands.js": /^sidecar\/stores\/mongodb\/raw-text\.ts$/,
  tedious: /^(sidecar\/stores\/sqlserver|test)\//,
  "node:sqlite": /^(sidecar\/stores\/sqlite|test)\//,
  "node:timers": /^test\//,
  // The command line waits for processes, on the real clock.
  "node:timers/promises": /^(cli|test|bench)\//,
  mocha: /^test\//,
  "fast-check": /^test\//,
  acorn: /^test\/tidy\//,
  "acorn-walk": /^test\/tidy\//,
};

const sources = readSources(ROOT);

describe("tidy", () => {
  it("imports only in the allowed directions", () => {
    const wrong = sources.flatMap((file) =>
      projectImports(file)
        .filter((target) => !mayImport(file.path, target))
        .map((target) => `${file.path} imports ${target}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("imports packages only where they have their place", () => {
    const wrong = sources.flatMap((file) =>
      packagesOf(file)
        .filter((name) => !(PACKAGES[name]?.test(file.path) ?? (name.startsWith("node:") && !(name in PACKAGES))))
        .map((name) => `${file.path} imports ${name}`),
    );
    assert.deepEqual(wrong, []);
  });

  it(`keeps files to ${FILE_LINES_MAX} lines`, () => {
    assert.deepEqual(
      sources.filter((file) => file.lines > FILE_LINES_MAX).map((file) => `${file.path}: ${file.lines}`),
      [],
    );
  });

  it(`keeps functions to ${FUNCTION_LINES_MAX} lines`, () => {
    const code = sources.filter(
      (file) => !file.path.endsWith(".test.ts") && !file.path.startsWith("test/conformance/"),
    );
    const long = code.flatMap((file) =>
      functionsOf(file)
        .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
        .map(({ name, line, lines }) => `${file.path}:${line} ${name}: ${lines}`),
    );
    assert.deepEqual(long, []);
  });

  it("calls time, chance and the process only where they are handed out", () => {
    const code = sources.filter((file) => !MAY_CALL.test(file.path));
    const wrong = code.flatMap((file) =>
      referencesOf(file)
        .filter(({ name }) => name in BANNED)
        .map(({ name, line }) => `${file.path}:${line} ${name}: ${BANNED[name]}`),
    );
    assert.deepEqual(wrong, []);
  });

  it("says in the first line of each source file what the file is for", () => {
    const code = sources.filter((file) => !file.path.endsWith(".test.ts"));
    assert.deepEqual(
      code.filter((file) => !/^(#!.*\n)?\/\/ \S/.test(file.text)).map((file) => file.path),
      [],
    );
  });

  it("has no default export but the one that mocha asks of a reporter", () => {
    const found = sources.flatMap((file) =>
      referencesOf(file)
        .filter(({ name }) => name === "export default")
        .map(() => file.path),
    );
    assert.deepEqual(found, ["test/reporter.ts"]);
  });

  it("has no source file that nothing uses", () => {
    const used = new Set(sources.flatMap(projectImports));
    const entries =
      /^((cli|operator|image)\/main\.ts|(docs|charts)\/generate\.ts|test\/(reporter|run)\.ts|bench\/(main|operator)\.ts|.*\.test\.ts|.*\/worker\.ts|.*-child\.ts)$/;
    const dead = sources.filter((file) => !used.has(file.path) && !entries.test(file.path));
    assert.deepEqual(
      dead.map((file) => file.path),
      [],
    );
  });

  it("has no focused test and no skip without a reason in its title", () => {
    const tests = sources.filter((file) => file.path.startsWith("test/") && file.path !== "test/tidy.test.ts");
    const wrong = tests.flatMap((file) => skipsIn(file).map((line) => `${file.path}: ${line}`));
    assert.deepEqual(wrong, []);
  });

  it("has a docs page and a conformance file for every driver", () => {
    const drivers = readdirSync(join(ROOT, "sidecar/stores"), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    const names = drivers.map((entry) => entry.name).filter((name) => !SHARED_BY_DRIVERS.includes(name));
    assert.ok(names.length >= 3);
    // A page has the name of the type: azure.cosmosdb.md is that of the folder cosmosdb.
    const pages = readdirSync(join(ROOT, "docs/stores")).map((page) => page.replace(/^.*\.(?=[^.]*\.md$)/, ""));
    const missing = names.flatMap((name) => [
      ...(pages.includes(`${name}.md`) ? [] : [`docs/stores/${name}.md`]),
      ...[`test/conformance/${name}.test.ts`].filter((path) => !existsSync(join(ROOT, path))),
    ]);
    assert.deepEqual(missing, []);
  });
});

describe("tidy's own eyes", () => {
  it("see a banned call, a long function and an import", () => {
    const body = "  void 0;\n".repeat(80);
    const file = parseSource(
      "sidecar/x.ts",
      `import { a } from "./a.ts";\nexport function long(b: string): void {\n${body}  Date.now();\n}\n`,
    );
    assert.deepEqual(importsOf(file), ["./a.ts"]);
    assert.deepEqual(
      functionsOf(file).map(({ name, lines }) => [name, lines]),
      [["long", 83]],
    );
    assert.deepEqual(referencesOf(file), [{ name: "Date.now", line: 83 }]);
  });

  it("see through the ways round a ban", () => {
    const code = [
      'process["env"];',
      "const { exit } = process;",
      "globalThis.setTimeout(f);",
      "globalThis.Date.now();",
      "new Date();",
      "new Date(0);",
      "randomUUID();",
    ];
    const found = referencesOf(parseSource("sidecar/x.ts", code.join("\n"))).filter(({ name }) => name in BANNED);
    assert.deepEqual(found.map(({ line }) => line).sort(), [1, 2, 3, 4, 5, 7]);
  });

  it("see skips without a reason, however they are spelled", () => {
    const skips = [
      'xit("a");',
      'it.skip("a");',
      "this.skip();",
      'describe.only("a");',
      '(missing ? it.skip : it)("a");',
      'it.skip("a (not run: no server)");',
    ];
    assert.deepEqual(
      skips.map((text) => skipsIn(parseSource("test/x.test.ts", text)).length),
      [1, 1, 1, 1, 1, 0],
    );
  });

  it("refuse a driver that imports another, and a core that imports a driver", () => {
    assert.equal(mayImport("sidecar/stores/redis/redis.ts", "sidecar/stores/sqlite/sqlite.ts"), false);
    assert.equal(mayImport("sidecar/state/service.ts", "sidecar/stores/redis/redis.ts"), false);
    assert.equal(mayImport("sidecar/stores/redis/redis.ts", "sidecar/stores/store.ts"), true);
  });
});

function projectImports(file: SourceFile): readonly string[] {
  return importsOf(file).flatMap((name) => {
    if (name.startsWith("#")) return [name.slice(1)];
    return name.startsWith(".") ? [normalize(join(dirname(file.path), name))] : [];
  });
}

function mayImport(path: string, target: string): boolean {
  const driver = DRIVER.exec(path)?.[1];
  if (driver !== undefined) {
    return (
      target.startsWith(`sidecar/stores/${driver}/`) ||
      (!SHARED_BY_DRIVERS.includes(driver) && SHARED_BY_DRIVERS.includes(DRIVER.exec(target)?.[1] ?? "")) ||
      GROUND.test(target) ||
      /^sidecar\/stores\/(store|narrowing|packages)\.ts$/.test(target) ||
      /^(kit|crds|proto)\//.test(target)
    );
  }
  const rule = DIRECTIONS.find(([files]) => files.test(path));
  return rule?.[1].test(target) ?? false;
}

function packagesOf(file: SourceFile): readonly string[] {
  return importsOf(file)
    .filter((name) => !name.startsWith("#") && !name.startsWith("."))
    .map((name) => (name in PACKAGES || name.startsWith("node:") ? name : (name.split("/")[0] ?? name)));
}

/** How many characters behind a skip its reason has to begin. */
const TITLE_WITHIN = 250;

function skipsIn(file: SourceFile): readonly string[] {
  const focused = [...file.text.matchAll(/\b(?:describe|it|context)\.only\b/g)].map((match) => match[0]);
  const silent = [...file.text.matchAll(/\b(?:xit|xdescribe|xcontext)\(|\bthis\.skip\(/g)].map((match) => match[0]);
  // Called at once, or chosen by a condition and called behind it: its title is what follows.
  const skipped = [...file.text.matchAll(/\b(?:describe|it|context)\.skip\b/g)].map(({ index }) =>
    file.text.slice(index, index + TITLE_WITHIN),
  );
  return [...focused, ...silent, ...skipped.filter((title) => !title.includes("(not run: "))];
}
