// What stands around the state routes (dapr-state-api.md 8): metadata, health, shutdown, token, CORS, trace context,
// the API log, the public port.
import assert from "node:assert/strict";
import { freePort } from "#test/servers/free-port.ts";
import { component, startWire, type WireOptions, type WireSidecar } from "./sidecar.ts";

const manifests = { "a.yaml": component("statestore", "state.in-memory") };

/** Runs a test against a sidecar of its own. */
async function over(options: Partial<WireOptions>, test: (wire: WireSidecar) => Promise<void>): Promise<void> {
  const wire = await startWire({ manifests, ...options });
  try {
    await test(wire);
  } finally {
    await wire.stop();
  }
}

describe("metadata over HTTP", () => {
  it("lists what Dapr lists, with its capability words in its order", () =>
    over({ settings: { appPort: 8080 } }, async (wire) => {
      const answer = await wire.ask("GET", "/v1.0/metadata");
      assert.deepEqual([answer.status, answer.headers["content-type"]], [200, "application/json"]);
      const body = JSON.parse(answer.text);
      assert.equal(body.id, "wire");
      assert.match(body.runtimeVersion, /^1\.18\.\d+\+pannier\./);
      const capabilities = ["ETAG", "TRANSACTIONAL", "TTL", "DELETE_WITH_PREFIX", "KEYS_LIKE", "ACTOR"];
      assert.deepEqual(body.components, [{ name: "statestore", type: "state.in-memory", version: "v1", capabilities }]);
      assert.deepEqual(body.extended, { daprRuntimeVersion: body.runtimeVersion });
      assert.deepEqual(body.appConnectionProperties, { port: 8080, protocol: "http", channelAddress: "127.0.0.1" });
      assert.deepEqual(body.actorRuntime, {
        runtimeStatus: "DISABLED",
        hostReady: false,
        placement: "placement: disconnected",
      });
    }));

  it("keeps attributes that clients set, and has no other method for it", () =>
    over({}, async (wire) => {
      assert.equal((await wire.ask("PUT", "/v1.0/metadata/cliPID", { body: "42" })).status, 204);
      assert.equal(JSON.parse((await wire.ask("GET", "/v1.0/metadata")).text).extended.cliPID, "42");
      assert.equal((await wire.ask("POST", "/v1.0/metadata/cliPID", { body: "43" })).status, 404);
      assert.equal((await wire.ask("PUT", "/v1.0/metadata/big", { body: "x".repeat(65_537) })).status, 400);
    }));
});

describe("metadata attributes", () => {
  it("never stand in the place of the sidecar's own words", () =>
    over({}, async (wire) => {
      await wire.ask("PUT", "/v1.0/metadata/daprRuntimeVersion", { body: "hax" });
      const body = JSON.parse((await wire.ask("GET", "/v1.0/metadata")).text);
      assert.equal(body.extended.daprRuntimeVersion, body.runtimeVersion);
    }));

  it("are limited in number and in bytes together (R11)", () =>
    over({}, async (wire) => {
      for (let i = 0; i < 1000; i++)
        assert.equal((await wire.ask("PUT", `/v1.0/metadata/a${i}`, { body: "1" })).status, 204);
      assert.equal((await wire.ask("PUT", "/v1.0/metadata/one-more", { body: "1" })).status, 400);
      assert.equal((await wire.ask("PUT", "/v1.0/metadata/a0", { body: "2" })).status, 204);
      const statuses: number[] = [];
      for (let i = 0; i < 20; i++) {
        statuses.push((await wire.ask("PUT", `/v1.0/metadata/a${i}`, { body: "x".repeat(65_536) })).status);
      }
      assert.deepEqual([statuses.indexOf(400), statuses.at(-1)], [15, 400]);
    }));
});

describe("health over HTTP", () => {
  it("is 204, and 500 for another app id", () =>
    over({}, async (wire) => {
      for (const path of ["/v1.0/healthz", "/v1.0/healthz/outbound", "/v1.0/healthz?appid=wire"]) {
        assert.equal((await wire.ask("GET", path)).status, 204, path);
      }
      const answer = await wire.ask("GET", "/v1.0/healthz?appid=other");
      assert.equal(answer.status, 500);
      assert.deepEqual(JSON.parse(answer.text), {
        errorCode: "ERR_HEALTH_APPID_NOT_MATCH",
        message: "dapr app-id does not match",
      });
    }));

  it("of Pannier tells each store", () =>
    over({}, async (wire) => {
      const answer = await wire.ask("GET", "/pannier/v1/health");
      assert.equal(answer.status, 200);
      const body = JSON.parse(answer.text);
      assert.equal(body.healthy, true);
      assert.deepEqual(
        body.stores.map(({ name, up, message }: { name: string; up: boolean; message: null }) => [name, up, message]),
        [["statestore", true, null]],
      );
    }));
});

describe("the capability route", () => {
  it("tells features, limits and what the words mean", () =>
    over({}, async (wire) => {
      const body = JSON.parse((await wire.ask("GET", "/pannier/v1/state/statestore")).text);
      assert.deepEqual(body.features, { etag: true, transactions: true, ttl: true, list: true });
      assert.equal(body.limits.requestBytesMax, 4 * 1024 * 1024);
      assert.equal(typeof body.consistency.strongWrite, "string");
    }));

  it("is 400 for an unknown store", () =>
    over({}, async (wire) => {
      const answer = await wire.ask("GET", "/pannier/v1/state/nope");
      assert.deepEqual([answer.status, JSON.parse(answer.text).errorCode], [400, "ERR_STATE_STORE_NOT_FOUND"]);
    }));
});

describe("shutdown over HTTP", () => {
  it("answers 204, then asks the process to end, gracefully or not", () =>
    over({}, async (wire) => {
      assert.equal((await wire.ask("POST", "/v1.0/shutdown")).status, 204);
      assert.equal(
        (await wire.ask("POST", "/v1.0/shutdown", { headers: { "dapr-force-shutdown": "true" } })).status,
        204,
      );
      while (wire.shutdowns.length < 2) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(wire.shutdowns, [false, true]);
      assert.equal((await wire.ask("GET", "/v1.0/shutdown")).status, 404);
    }));
});

describe("the API token", () => {
  const settings = { apiToken: "s3cret-token" };

  it("is asked for everywhere but on health, with a plain 401", () =>
    over({ settings }, async (wire) => {
      for (const headers of [{}, { "dapr-api-token": "wrong" }, { "dapr-api-token": "" }]) {
        for (const path of ["/v1.0/state/statestore/k", "/v1.0/metadata", "/pannier/v1/health", "/no/route"]) {
          const answer = await wire.ask("GET", path, { headers });
          assert.deepEqual([answer.status, answer.text], [401, "invalid api token\n"], path);
          assert.match(String(answer.headers["content-type"]), /^text\/plain/);
        }
      }
      for (const path of ["/v1.0/healthz", "/v1.0/healthz/outbound"])
        assert.equal((await wire.ask("GET", path)).status, 204);
      assert.equal(
        (await wire.ask("GET", "/v1.0/state/statestore/k", { headers: { "dapr-api-token": "s3cret-token" } })).status,
        204,
      );
    }));

  it("never comes into the log", () =>
    over({ settings: { ...settings, apiLogging: true, logLevel: "debug" } }, async (wire) => {
      await wire.ask("GET", "/v1.0/metadata", { headers: { "dapr-api-token": "s3cret-token" } });
      assert.ok(wire.log.length > 0);
      assert.ok(!wire.log.join("").includes("s3cret-token"));
    }));
});

describe("a token outside ASCII", () => {
  it("is compared byte for byte", () =>
    over({ settings: { apiToken: "pässwörd" } }, async (wire) => {
      const header = Buffer.from("pässwörd").toString("latin1");
      assert.equal((await wire.ask("GET", "/v1.0/metadata", { headers: { "dapr-api-token": header } })).status, 200);
    }));
});

describe("CORS", () => {
  const preflight = {
    origin: "http://app.test",
    "access-control-request-method": "POST",
    "access-control-request-headers": "x-a",
  };

  it("is off by default: a preflight has no route", () =>
    over({}, async (wire) => {
      assert.equal((await wire.ask("OPTIONS", "/v1.0/state/statestore", { headers: preflight })).status, 404);
      assert.equal(
        (await wire.ask("GET", "/v1.0/metadata", { headers: { origin: "http://app.test" } })).headers[
          "access-control-allow-origin"
        ],
        undefined,
      );
    }));

  it("answers a preflight of any origin before the token is asked for", () =>
    over({ settings: { allowedOrigins: ["*"], apiToken: "t" } }, async (wire) => {
      const answer = await wire.ask("OPTIONS", "/v1.0/state/statestore", { headers: preflight });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["access-control-allow-origin"], "*");
      assert.equal(answer.headers["access-control-allow-methods"], "HEAD, GET, POST, PUT, PATCH, DELETE");
      assert.equal(answer.headers["access-control-allow-headers"], "x-a");
    }));

  it("lets only listed origins pass", () =>
    over({ settings: { allowedOrigins: ["http://app.test"] } }, async (wire) => {
      const listed = await wire.ask("GET", "/v1.0/metadata", { headers: { origin: "http://app.test" } });
      assert.equal(listed.headers["access-control-allow-origin"], "http://app.test");
      const other = await wire.ask("OPTIONS", "/v1.0/metadata", {
        headers: { ...preflight, origin: "http://evil.test" },
      });
      assert.deepEqual(
        [other.status, other.headers["access-control-allow-origin"], other.headers.vary],
        [200, undefined, "Origin"],
      );
    }));
});

describe("trace context", () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  it("is answered as it came when it is valid", () =>
    over({}, async (wire) => {
      const answer = await wire.ask("GET", "/v1.0/metadata", { headers: { traceparent, tracestate: "a=b" } });
      assert.deepEqual([answer.headers.traceparent, answer.headers.tracestate], [traceparent, "a=b"]);
    }));

  it("is never made up, and a broken one is not answered", () =>
    over({}, async (wire) => {
      for (const sent of [
        "",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      ]) {
        assert.equal(
          (await wire.ask("GET", "/v1.0/metadata", { headers: { traceparent: sent } })).headers.traceparent,
          undefined,
        );
      }
      assert.equal((await wire.ask("GET", "/v1.0/metadata")).headers.traceparent, undefined);
    }));
});

describe("the API log", () => {
  it("has a line per request with the route and never the key or the value", () =>
    over({ settings: { apiLogging: true } }, async (wire) => {
      await wire.ask("POST", "/v1.0/state/statestore", { body: '[{"key":"private-key","value":"private-value"}]' });
      await wire.ask("GET", "/v1.0/state/statestore/private-key", { headers: { "user-agent": "tester" } });
      const lines = wire.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "HTTP API Called");
      assert.deepEqual(
        lines.map(({ method, code, useragent, level, app_id }) => [method, code, useragent, level, app_id]),
        [
          ["POST /v1.0/state/{storeName}", 204, "", "info", "wire"],
          ["GET /v1.0/state/{storeName}/{key}", 200, "tester", "info", "wire"],
        ],
      );
      assert.ok(!wire.log.join("").includes("private"));
    }));

  it("is off by default", () =>
    over({}, async (wire) => {
      await wire.ask("GET", "/v1.0/metadata");
      assert.ok(!wire.log.join("").includes("HTTP API Called"));
    }));
});

describe("the start line", () => {
  it("says version, app id, ports, Components and the time it took, with Dapr's phrase", () =>
    over({}, async (wire) => {
      const line = wire.log
        .map((text) => JSON.parse(text))
        .find(({ msg }) => String(msg).startsWith("dapr initialized"));
      assert.match(line.msg, /^dapr initialized\. Status: Running\. Init Elapsed \d+ms$/);
      assert.deepEqual(
        [line.app_id, line.http_port, line.components],
        ["wire", wire.sidecar.httpPort, "statestore (state.in-memory/v1)"],
      );
      assert.equal(typeof line.ver, "string");
    }));
});

describe("the public port", () => {
  it("serves health and metadata without a token, and nothing else", async () => {
    const publicPort = await freePort();
    await over({ settings: { publicPort, apiToken: "t", allowedOrigins: ["*"] } }, async (wire) => {
      for (const [path, status] of [
        ["/v1.0/healthz", 204],
        ["/v1.0/healthz/outbound", 204],
        ["/v1.0/metadata", 200],
        ["/v1.0/state/statestore/k", 404],
        ["/pannier/v1/health", 404],
      ] as const) {
        assert.equal((await wire.ask("GET", path, { port: publicPort })).status, status, path);
      }
      assert.equal((await wire.ask("POST", "/v1.0/shutdown", { port: publicPort })).status, 404);
      assert.equal((await wire.ask("PUT", "/v1.0/metadata/x", { port: publicPort, body: "1" })).status, 404);
    });
  });
});

describe("a port that is taken", () => {
  it("is told by number and purpose, and leaves nothing open", () =>
    over({}, async (wire) => {
      const settings = { httpPort: wire.sidecar.httpPort };
      await assert.rejects(startWire({ manifests, settings }), {
        name: "ListenError",
        code: "EADDRINUSE",
        message: `could not listen for the HTTP API on 127.0.0.1 port ${wire.sidecar.httpPort}: the port is taken by another process`,
      });
    }));
});
