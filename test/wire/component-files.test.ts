// What health, metadata and metrics tell of a manifest that cannot be used, and that it takes no store away.
import assert from "node:assert/strict";
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ask, STORE, save } from "./client.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

const HEALTH = "/pannier/v1/health";
const statestore = component("statestore", "state.in-memory");
const FAULT = "---\na: [\n";

describe("a manifest that cannot be used, over HTTP", () => {
  let wire: WireSidecar;
  beforeEach(async () => {
    wire = await startWire({ manifests: { "a.yaml": statestore } });
  });
  afterEach(() => wire.stop());

  async function write(name: string, content: string): Promise<string> {
    const path = join(wire.folder, name);
    await writeFile(path, content);
    await wire.sidecar.reload();
    return path;
  }

  async function gauge(): Promise<string> {
    const scrape = await wire.ask("GET", "/metrics", { port: wire.sidecar.metricsPort ?? 0 });
    return /^pannier_file_problems\{app_id="wire"\} (\d+)$/m.exec(scrape.text)?.[1] ?? "none";
  }

  it("makes health 503 with file, problem and since, although no Component belongs to it", async () => {
    const good = await ask(wire, "GET", HEALTH);
    assert.deepEqual([good.status, JSON.parse(good.text).files], [200, []]);
    const file = await write("b.yaml", "a: [\n");
    const answer = await ask(wire, "GET", HEALTH);
    assert.equal(answer.status, 503);
    const body = JSON.parse(answer.text);
    assert.equal(body.healthy, false);
    assert.deepEqual(
      body.components.map(({ name, state }: { name: string; state: string }) => [name, state]),
      [["statestore", "ready"]],
    );
    assert.deepEqual(Object.keys(body.files[0]), ["file", "problem", "since"]);
    assert.equal(body.files[0].file, file);
    assert.match(body.files[0].problem, /b\.yaml cannot be used as it is.*line \d+: /);
    assert.match(body.files[0].since, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    await unlink(file);
    await wire.sidecar.reload();
    assert.equal((await ask(wire, "GET", HEALTH)).status, 200);
  });

  it("is in metadata and in a metric", async () => {
    assert.equal(await gauge(), "0");
    const file = await write("b.yaml", "a: [\n");
    const { extended } = JSON.parse((await ask(wire, "GET", "/v1.0/metadata")).text);
    assert.match(extended[`pannier.file.${file}`], /cannot be used as it is/);
    assert.equal(await gauge(), "1");
  });

  it("takes no store away that was moved into it", async () => {
    await save(wire, "k", "1");
    await write("b.yaml", `${statestore}${FAULT}`);
    await unlink(join(wire.folder, "a.yaml"));
    await wire.sidecar.reload();
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).text, "1");
    const body = JSON.parse((await ask(wire, "GET", HEALTH)).text);
    assert.equal(body.components[0].state, "kept");
    assert.match(body.components[0].message, /no other file holds it, so it stays until this is mended: .*b\.yaml/);
    await write("b.yaml", statestore);
    assert.equal((await ask(wire, "GET", HEALTH)).status, 200);
    assert.equal((await ask(wire, "GET", `${STORE}/k`)).text, "1");
  });
});
