// The HTTP API on a unix socket (dapr-state-api.md 8.4 and 13).
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "#test/servers/free-port.ts";
import { component, startWire, type WireSidecar } from "./sidecar.ts";

const manifests = { "a.yaml": component("statestore", "state.in-memory") };

function ask(socketPath: string, method: string, path: string, body?: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, agent: false }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => {
        text += chunk;
      });
      incoming.on("end", () => resolve([incoming.statusCode ?? 0, text]));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

describe("a unix socket", () => {
  let folder: string;
  let path: string;
  let running: WireSidecar[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-socket-"));
    path = join(folder, "dapr-wire-http.socket");
    running = [];
  });
  afterEach(async () => {
    for (const wire of running) await wire.stop();
    await rm(folder, { recursive: true });
  });

  const start = async (settings: object = {}): Promise<WireSidecar> => {
    const wire = await startWire({ manifests, settings: { unixSocketFolder: folder, ...settings } });
    running.push(wire);
    return wire;
  };

  /** A socket file whose process is gone: the listener's own file is kept from being removed. */
  const leaveBehind = async (): Promise<void> => {
    const hidden = join(folder, "hidden");
    const dead: Server = createServer().listen(hidden);
    await once(dead, "listening");
    await rename(hidden, path);
    dead.close();
    await once(dead, "close");
    assert.ok((await stat(path)).isSocket());
  };

  it("serves the state API and the metrics stay on their port", async () => {
    const wire = await start();
    assert.equal(wire.sidecar.httpSocket, path);
    const body = '[{"key":"k","value":"v"}]';
    assert.deepEqual(await ask(path, "POST", "/v1.0/state/statestore", body), [204, ""]);
    assert.deepEqual(await ask(path, "GET", "/v1.0/state/statestore/k"), [200, '"v"']);
    const { text } = await wire.ask("GET", "/", { port: wire.sidecar.metricsPort ?? 0 });
    assert.match(text, /dapr_http_server_request_count/);
  });

  it("takes the place of the port", async () => {
    const httpPort = await freePort();
    await start({ httpPort });
    const client = connect(httpPort, "127.0.0.1");
    const [error] = await once(client, "error");
    assert.equal(error.code, "ECONNREFUSED");
  });

  it("gives way to nobody: a second sidecar of the same app does not start, and the first goes on", async () => {
    await start();
    await assert.rejects(start(), {
      code: "EADDRINUSE",
      message: /could not listen for the HTTP API .*another process/,
    });
    assert.deepEqual(await ask(path, "GET", "/v1.0/healthz"), [204, ""]);
  });

  it("replaces the socket of a process that is gone", async () => {
    await leaveBehind();
    await start();
    assert.deepEqual(await ask(path, "GET", "/v1.0/healthz"), [204, ""]);
  });

  it("leaves a file alone that is no socket, and a link too", async () => {
    await writeFile(path, "precious");
    await assert.rejects(start(), { code: "EADDRINUSE" });
    assert.equal((await stat(path)).size, 8);
    await rm(path);
    await leaveBehind();
    await rename(path, join(folder, "target"));
    await symlink(join(folder, "target"), path);
    await assert.rejects(start(), { code: "EADDRINUSE" });
    assert.deepEqual((await readdir(folder)).sort(), ["dapr-wire-http.socket", "target"]);
  });

  it("is gone when the sidecar has ended", async () => {
    await (await start()).stop();
    running = [];
    assert.deepEqual(await readdir(folder), []);
  });

  it("has the permissions that the umask leaves", async () => {
    await start();
    assert.equal((await stat(path)).mode & 0o777, 0o777 & ~process.umask());
  });

  it("says what is wrong with a path that is too long, and with a folder that is not there", async () => {
    const long = join(folder, "x".repeat(120));
    await assert.rejects(start({ unixSocketFolder: long }), {
      message: /the path has \d+ bytes, this system takes at most/,
    });
    await assert.rejects(start({ unixSocketFolder: join(folder, "no") }), { message: /the folder does not exist/ });
  });
});
