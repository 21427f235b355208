// The rows of docs/differences.md on the HTTP around the state API.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, STORE } from "#test/wire/client.ts";
import { component, configuration, startWire } from "#test/wire/sidecar.ts";

const manifests = { "a.yaml": component("statestore", "state.in-memory") };

describe("differences of the HTTP around the state API", () => {
  it("H1: a request with Upgrade: h2c is answered in HTTP/1.1", async () => {
    const wire = await startWire({ manifests });
    const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__" };
    try {
      assert.equal((await wire.ask("GET", `${STORE}/k`, { headers })).status, 204);
    } finally {
      await wire.stop();
    }
  });

  it("H2: with stdout a span is one line of the log", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pannier-spans-"));
    const file = join(folder, "config.json");
    await writeFile(file, configuration({ tracing: { samplingRate: "1", stdout: true } }));
    const wire = await startWire({ manifests, settings: { configPaths: [file] } });
    try {
      await ask(wire, "GET", `${STORE}/k`);
    } finally {
      await wire.stop();
      await rm(folder, { recursive: true });
    }
    const spans = wire.log.filter((line) => JSON.parse(line).msg === "span");
    assert.equal(spans.length, 1);
    assert.equal(JSON.parse(spans[0] ?? "").name, `${STORE}/k`);
  });
});
