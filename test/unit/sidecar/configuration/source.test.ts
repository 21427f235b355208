// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of the environment, no templates.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "#kit/log.ts";
import { fileOrigin } from "#sidecar/configuration/files.ts";
import { ConfigurationSource } from "#sidecar/configuration/source.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

const WAIT_LIMIT_MS = 30_000;

function configuration(spec: string): string {
  return `apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: c\nspec:\n${spec}`;
}

const DENY = "  components:\n    deny: [state.redis]\n";

describe("the Configuration of a sidecar", () => {
  let folder: string;
  let clock: ManualClock;
  let lines: string[];
  let source: ConfigurationSource | null;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-configuration-"));
    clock = new ManualClock();
    lines = [];
    source = null;
  });
  afterEach(async () => {
    await source?.close();
    await rm(folder, { recursive: true });
  });

  async function open(...texts: string[]): Promise<ConfigurationSource> {
    const files = texts.map((_, index) => join(folder, `${index}.yaml`));
    for (const [index, text] of texts.entries()) await writeFile(files[index] ?? "", text);
    return openFiles(files);
  }

  async function openFiles(files: readonly string[]): Promise<ConfigurationSource> {
    const write = (line: string): void => void lines.push(line);
    const log = createLog({ level: "info", json: false, appId: "", instance: "", version: "", write, nowMs: () => 0 });
    const env = { TYPE: "state.redis", TOKEN: "hush" };
    source = await ConfigurationSource.open({ origin: fileOrigin(files, env), reconcileMs: 60_000, clock, log });
    return source;
  }

  const change = (text: string): Promise<void> => writeFile(join(folder, "0.yaml"), text);
  const denied = (of: ConfigurationSource): string[] => of.current.denied.map(({ type }) => type);

  it("is the default without a file", async () => {
    const opened = await openFiles([]);
    assert.deepEqual([denied(opened), opened.enabledFeatures()], [[], ["HotReload"]]);
    assert.equal(opened.isAllowed("http", "state/v1.0"), true);
  });

  it("comes from all files, member by member, later ones before earlier ones", async () => {
    const opened = await open(
      configuration(
        "  metrics:\n    recordErrorCodes: true\n    http: {excludeVerbs: true}\n  features: [{name: A, enabled: true}]\n",
      ),
      configuration(
        `${DENY}  metrics:\n    http: {increasedCardinality: false}\n  features: [{name: B, enabled: true}]\n`,
      ),
    );
    const { metrics } = opened.current;
    assert.deepEqual(
      [metrics.recordErrorCodes, metrics.http.excludeVerbs, metrics.http.increasedCardinality],
      [true, true, false],
    );
    assert.deepEqual(denied(opened), ["state.redis"]);
    assert.deepEqual(opened.enabledFeatures(), ["HotReload", "B"]);
  });

  it("has the environment's variables in it, and tells those that are not set", async () => {
    const opened = await open(configuration("  components:\n    deny:\n      - ${TYPE}\n# ${NOT_THERE}\n"));
    assert.deepEqual(denied(opened), ["state.redis"]);
    assert.ok(lines.some((line) => line.includes("NOT_THERE") && !line.includes("hush")));
  });

  const wrong: [string, string, RegExp][] = [
    [
      "that has faults",
      configuration("  components:\n    deny: state\n"),
      /0\.yaml:7: spec\.components\.deny: .*want a list/,
    ],
    [
      "of another kind",
      configuration("  {}\n").replace("Configuration", "Component"),
      /0\.yaml:2: kind: got "Component", want Configuration/,
    ],
    ["that is no YAML", "a: [", /0\.yaml:1: want YAML that can be read/],
    ["that is empty", "", /0\.yaml: it holds no Configuration/],
  ];
  for (const [what, text, message] of wrong) {
    it(`is refused at the start with a file ${what}`, async () => {
      await assert.rejects(open(text), { name: "ConfigurationError", message });
    });
  }

  it("is refused at the start with a file that is not there", async () => {
    await assert.rejects(
      openFiles([join(folder, "none.yaml")]),
      /configuration file ".*none\.yaml" cannot be read \(ENOENT\)/,
    );
  });

  it("is taken over anew when it is asked to, and told", async () => {
    const opened = await open(configuration("  {}\n"));
    const told: string[] = [];
    opened.onChange((now) => void told.push(...now.denied.map(({ type }) => type)));
    assert.equal(await opened.reload(), false);
    await change(configuration(DENY));
    assert.equal(await opened.reload(), true);
    assert.deepEqual([denied(opened), told], [["state.redis"], ["state.redis"]]);
  });

  it("stays as it was while a file cannot be used, which is told once and shown", async () => {
    const opened = await open(configuration(DENY));
    for (const text of ["a: [", "a: [", ""]) {
      await change(text);
      assert.equal(await opened.reload(), false);
      assert.deepEqual(denied(opened), ["state.redis"]);
    }
    assert.equal(lines.filter((line) => line.includes("the last good Configuration stays")).length, 2);
    assert.match(opened.problems()[0]?.problem ?? "", /holds no Configuration: the last good Configuration stays/);
    await change(configuration(DENY));
    await opened.reload();
    assert.deepEqual(opened.problems(), []);
  });

  it("is read again at each interval, and counts when it is at rest", async () => {
    const opened = await open(configuration("  {}\n"));
    opened.follow();
    await change(configuration(DENY));
    await clock.advance(60_000);
    await until(() => clock.asked.includes(250));
    assert.deepEqual(denied(opened), []);
    await clock.advance(250);
    await until(() => denied(opened).length === 1);
  });

  it("waits for the next interval with a file that is still being written", async () => {
    const opened = await open(configuration("  {}\n"));
    opened.follow();
    await change(configuration("  api: {}\n"));
    await clock.advance(60_000);
    await until(() => clock.asked.includes(250));
    await change(configuration(`  api: {}\n${DENY}`));
    await clock.advance(250);
    await until(() => clock.asked.length === 3);
    assert.deepEqual(clock.asked, [60_000, 250, 60_000]);
    assert.ok(!lines.some((line) => line.includes("the Configuration has changed")));
    await clock.advance(60_000);
    await until(() => clock.asked.length === 4);
    await clock.advance(250);
    await until(() => denied(opened).length === 1);
    assert.ok(!lines.some((line) => line.includes("the last good")));
  });

  it("is not followed without the feature HotReload, but read when it is asked to", async () => {
    const opened = await open(configuration("  features: [{name: HotReload, enabled: false}]\n"));
    opened.follow();
    await change(configuration(DENY));
    await clock.advance(60_000);
    await until(() => clock.asked.length === 2);
    assert.deepEqual([denied(opened), clock.asked], [[], [60_000, 60_000]]);
    await opened.reload();
    assert.deepEqual([denied(opened), opened.feature("HotReload")], [["state.redis"], true]);
  });

  it("says what waits for a restart, and what has no effect, once", async () => {
    const opened = await open(configuration("  mtls: {enabled: true}\n  tracing: {samplingRate: 1, stdout: true}\n"));
    await change(
      configuration("  mtls: {enabled: true}\n  metrics: {enabled: false}\n  tracing: {samplingRate: 0.5}\n"),
    );
    await opened.reload();
    assert.ok(lines.some((line) => /wait for a restart.*spec\.metrics, spec\.tracing/.test(line)));
    assert.equal(lines.filter((line) => line.includes("without effect here")).length, 1);
  });
});

async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_LIMIT_MS;
  while (!holds()) {
    assert.ok(Date.now() < end, `not within ${WAIT_LIMIT_MS} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
