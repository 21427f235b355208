// What the header Server-Timing tells, and when.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, STORE } from "./client.ts";
import { component, configuration, startWire, type WireSidecar } from "./sidecar.ts";

const manifests = {
  "a.yaml": component("statestore", "state.in-memory"),
  "b.yaml": component("actors", "state.in-memory", { actorStateStore: "true" }),
};

describe("Server-Timing", () => {
  const FORM = /^store;dur=(\d+\.\d{3}), total;dur=(\d+\.\d{3})$/;
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-timing-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const over = async (enabled: boolean, task: (wire: WireSidecar) => Promise<void>): Promise<void> => {
    const file = join(folder, "config.json");
    await writeFile(file, configuration({ features: [{ name: "ServerTiming", enabled }] }));
    const wire = await startWire({ manifests, settings: { configPaths: [file] } });
    await task(wire).finally(() => wire.stop());
  };

  it("tells the store's time and the whole on every answer of the routes that call stores", () =>
    over(true, async (wire) => {
      const answers = [
        await ask(wire, "POST", STORE, [{ key: "k", value: 1 }]),
        await ask(wire, "GET", `${STORE}/k`),
        await ask(wire, "GET", `${STORE}/none`),
        await ask(wire, "POST", `${STORE}/bulk`, { keys: ["k"] }),
        await ask(wire, "POST", `${STORE}/transaction`, { operations: [] }),
        await ask(wire, "GET", "/v1.0/state/nowhere/k"),
        await ask(wire, "GET", "/v1.0/actors/cat/leroy/state/k"),
      ];
      for (const { headers } of answers) assert.match(String(headers["server-timing"]), FORM);
      const [, store = "", total = ""] = FORM.exec(String(answers[1]?.headers["server-timing"])) ?? [];
      assert.ok(Number(store) > 0 && Number(store) <= Number(total), `${store} of ${total}`);
      assert.equal((await ask(wire, "GET", "/v1.0/metadata")).headers["server-timing"], undefined);
    }));

  it("is off unless it is switched on", () =>
    over(false, async (wire) => {
      assert.equal((await ask(wire, "GET", `${STORE}/k`)).headers["server-timing"], undefined);
    }));
});
