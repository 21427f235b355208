// The state routes over real HTTP (dapr-state-api.md 1 and 2), on the in-memory store.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { errorOf, STORE, save, ask as send } from "./client.ts";
import { type Answer, component, startWire, type WireSidecar } from "./sidecar.ts";

describe("the state API over HTTP", () => {
  let wire: WireSidecar;

  before(async () => {
    const manifests = {
      "a.yaml": component("statestore", "state.in-memory"),
      "b.yaml": component("my store", "state.in-memory", { keyPrefix: "none" }),
    };
    wire = await startWire({ manifests });
  });
  after(() => wire.stop());

  const ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> =>
    send(wire, method, path, body, headers);
  const saved = (key: string, value: string): Promise<void> => save(wire, key, value);

  describe("save and get over HTTP", () => {
    it("answers 204 without body or content type, by POST and by PUT", async () => {
      for (const method of ["POST", "PUT"]) {
        const answer = await ask(method, STORE, '[{"key":"k","value":1}]');
        assert.deepEqual([answer.status, answer.text, answer.headers["content-type"]], [204, "", undefined]);
      }
    });

    it("gives back the exact bytes with Etag and content type", async () => {
      const values = [
        '{ "b" : 1, "a":[ ] }',
        "12345678901234567890",
        "1.10",
        '"\\u0041\\ud800"',
        "null",
        '""',
        '{"a":1,"a":2}',
        '"ünï"',
      ];
      for (const value of values) {
        await saved("exact", value);
        const answer = await ask("GET", `${STORE}/exact`);
        assert.deepEqual([answer.status, answer.text], [200, value]);
        assert.equal(answer.headers["content-type"], "application/json");
        assert.ok(answer.rawHeaders.includes("Etag"), "in Go's spelling");
      }
    });

    it("stores null for an item without a value", async () => {
      assert.equal((await ask("POST", STORE, '[{"key":"novalue"}]')).status, 204);
      const answer = await ask("GET", `${STORE}/novalue`);
      assert.deepEqual([answer.status, answer.text], [200, "null"]);
    });

    it("answers 204 with an empty body for a key that is not there", async () => {
      const answer = await ask("GET", `${STORE}/missing`);
      assert.deepEqual([answer.status, answer.text, answer.headers.etag], [204, "", undefined]);
    });

    it("takes [] and null as nothing to do", async () => {
      for (const body of ["[]", "null"]) assert.equal((await ask("POST", STORE, body)).status, 204);
    });

    it("lets the last of two items with one key win", async () => {
      const body = [
        { key: "twice", value: "first" },
        { key: "twice", value: "second" },
      ];
      assert.equal((await ask("POST", STORE, body)).status, 204);
      assert.equal((await ask("GET", `${STORE}/twice`)).text, '"second"');
    });

    it("accepts a body that is one JSON string with the array in it", async () => {
      assert.equal((await ask("POST", STORE, JSON.stringify('[{"key":"py","value":{"x": 1}}]'))).status, 204);
      assert.equal((await ask("GET", `${STORE}/py`)).text, '{"x": 1}');
    });

    it("tolerates a trailing slash and doubled slashes", async () => {
      assert.equal((await ask("POST", "//v1.0/./state//statestore/", '[{"key":"slash","value":1}]')).status, 204);
      assert.equal((await ask("GET", `${STORE}/slash/`)).text, "1");
    });

    it("unescapes keys as queries are: + is a space, %2B a plus, %2F a slash", async () => {
      for (const [path, key] of [
        ["a+b", "a b"],
        ["a%2Bb", "a+b"],
        ["a%2Fb", "a/b"],
        ["%C3%BC", "ü"],
      ] as const) {
        await saved(key, JSON.stringify(key));
        assert.equal((await ask("GET", `${STORE}/${path}`)).text, JSON.stringify(key), path);
      }
    });

    it("reads and deletes keys that are spelled like routes", async () => {
      for (const key of ["bulk", "transaction"]) {
        await saved(key, "1");
        assert.equal((await ask("GET", `${STORE}/${key}`)).text, "1");
        assert.equal((await ask("DELETE", `${STORE}/${key}`)).status, 204);
        assert.equal((await ask("GET", `${STORE}/${key}`)).status, 204);
      }
    });

    it("reaches a store whose name holds a space", async () => {
      assert.equal((await ask("POST", "/v1.0/state/my%20store", '[{"key":"k","value":"v"}]')).status, 204);
      assert.equal((await ask("GET", "/v1.0/state/my+store/k")).text, '"v"');
    });

    it("tells when a value expires, in a header as Go spells it", async () => {
      const body = [{ key: "ttl", value: 1, metadata: { ttlInSeconds: "100" } }];
      assert.equal((await ask("POST", STORE, body)).status, 204);
      const answer = await ask("GET", `${STORE}/ttl`);
      assert.ok(answer.rawHeaders.includes("Metadata.ttlexpiretime"));
      const text = String(answer.headers["metadata.ttlexpiretime"]);
      assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.ok(Math.abs(Date.parse(text) - Date.now() - 100_000) < 10_000);
    });

    it("takes the TTL of the URL before that of the body", async () => {
      const body = [{ key: "ttl2", value: 1, metadata: { ttlInSeconds: "100" } }];
      assert.equal((await ask("POST", `${STORE}?metadata.ttlInSeconds=-1`, body)).status, 204);
      assert.equal((await ask("GET", `${STORE}/ttl2`)).headers["metadata.ttlexpiretime"], undefined);
    });

    it("clears an old expiry when a value is written without one", async () => {
      await ask("POST", STORE, [{ key: "clear", value: 1, metadata: { ttlInSeconds: "100" } }]);
      await saved("clear", "2");
      assert.equal((await ask("GET", `${STORE}/clear`)).headers["metadata.ttlexpiretime"], undefined);
    });

    for (const ttl of ["-2", "2147483648", "1.5", "foo"]) {
      it(`refuses a TTL of ${ttl} and writes nothing`, async () => {
        const answer = await ask("POST", STORE, [{ key: "badttl", value: 1, metadata: { ttlInSeconds: ttl } }]);
        assert.equal(answer.status, 400);
        assert.equal(errorOf(answer).errorCode, "ERR_STATE_SAVE");
        assert.match(
          errorOf(answer).message,
          new RegExp(`^failed saving state in state store statestore: metadata ttlInSeconds: got "${ttl}"`),
        );
        assert.equal((await ask("GET", `${STORE}/badttl`)).status, 204);
      });
    }

    const malformed: readonly (readonly [string, RegExp])[] = [
      ["", /^EOF$/],
      ["{}", /want an array/],
      ["foobar", /invalid character/],
      ["[{}]", /^"key" is a required field$/],
      ['[{"key":"k","value":1,},]', /invalid character/],
      ['[{"key":"k","value":1}', /unexpected EOF/],
      ['[{"key":"k","etag":123,"value":1}]', /^etag: got number, want a string$/],
      ['[{"ke":"k","value":1}]', /^"key" is a required field$/],
      ['[{"key":"k","metadata":{"ttlInSeconds":3}}]', /metadata.ttlInSeconds: got number/],
    ];
    for (const [body, message] of malformed) {
      it(`answers 400 ERR_MALFORMED_REQUEST to ${JSON.stringify(body)}`, async () => {
        const answer = await ask("POST", STORE, body);
        assert.equal(answer.status, 400);
        assert.deepEqual(Object.keys(errorOf(answer)), ["errorCode", "message"]);
        assert.equal(errorOf(answer).errorCode, "ERR_MALFORMED_REQUEST");
        assert.match(errorOf(answer).message, message);
      });
    }

    it("refuses bytes that are not UTF-8", async () => {
      const body = Buffer.concat([Buffer.from('[{"key":"k","value":"'), Buffer.from([0xff]), Buffer.from('"}]')]);
      const answer = await wire.ask("POST", STORE, { body });
      assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_MALFORMED_REQUEST"]);
    });

    it("reads a row whose ETag no header can carry, without it", async () => {
      const manifests = { "a.yaml": component("statestore", "state.sqlite", { connectionString: "state.db" }) };
      const other = await startWire({ manifests: {} });
      try {
        const file = join(other.folder, "state.db");
        await writeFile(join(other.folder, "a.yaml"), manifests["a.yaml"].replace("state.db", file));
        await other.sidecar.reload();
        await save(other, "odd", "1");
        const database = new DatabaseSync(file);
        database.prepare("UPDATE state SET etag = ?").run("é日\n");
        database.close();
        const answer = await other.ask("GET", `${STORE}/odd`);
        assert.deepEqual([answer.status, answer.text, answer.headers.etag], [200, "1", undefined]);
      } finally {
        await other.stop();
      }
    });

    it("takes nesting of 10,000 levels and refuses more", async () => {
      const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
      // The array and the item around the value count too.
      await saved("deep", nested(9_998));
      const answer = await ask("POST", STORE, `[{"key":"deep","value":${nested(9_999)}}]`);
      assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_MALFORMED_REQUEST"]);
      assert.match(errorOf(answer).message, /max depth/);
    });

    it("answers an unknown option word with 400 and names it", async () => {
      const body = [{ key: "k", value: 1, options: { concurrency: "never" } }];
      const answer = await ask("POST", STORE, body);
      assert.equal(answer.status, 400);
      assert.match(errorOf(answer).message, /unrecognized concurrency model 'never'/);
      assert.equal((await ask("GET", `${STORE}/k?consistency=never`)).status, 400);
    });

    it("ignores unknown option words in headers and takes known ones where the body says nothing", async () => {
      await saved("hdr", "1");
      const body = [{ key: "hdr", value: 2 }];
      assert.equal((await ask("POST", STORE, body, { concurrency: "whatever", consistency: "x" })).status, 204);
      assert.equal((await ask("POST", STORE, body, { concurrency: "first-write" })).status, 409);
      const own = [{ key: "hdr", value: 3, options: { concurrency: "last-write" } }];
      assert.equal((await ask("POST", STORE, own, { concurrency: "first-write" })).status, 204);
    });
  });

  describe("a key with the separator", () => {
    it("is refused with the words and details of Dapr on every route", async () => {
      const calls = [
        () => ask("GET", `${STORE}/a%7C%7Cb`),
        () => ask("DELETE", `${STORE}/a%7C%7Cb`),
        () => ask("POST", STORE, [{ key: "a||b", value: 1 }]),
        () => ask("POST", `${STORE}/bulk`, { keys: ["ok", "a||b"] }),
        () => ask("POST", `${STORE}/transaction`, { operations: [{ operation: "delete", request: { key: "a||b" } }] }),
      ];
      const text = "input key/keyPrefix 'a||b' can't contain '||'";
      for (const call of calls) {
        const answer = await call();
        assert.equal(answer.status, 400);
        assert.deepEqual(errorOf(answer), {
          errorCode: "ERR_MALFORMED_REQUEST",
          message: `api error: code = InvalidArgument desc = ${text}`,
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.BadRequest",
              field_violations: [{ field: "a||b", description: text }],
            },
            {
              "@type": "type.googleapis.com/google.rpc.ResourceInfo",
              description: "",
              owner: "",
              resource_name: "statestore",
              resource_type: "state",
            },
            {
              "@type": "type.googleapis.com/google.rpc.ErrorInfo",
              domain: "dapr.io",
              metadata: null,
              reason: "DAPR_STATE_ILLEGAL_KEY",
            },
          ],
        });
      }
    });

    it("may hold a single bar", async () => {
      await saved("a|b", "1");
      assert.equal((await ask("GET", `${STORE}/a%7Cb`)).text, "1");
    });
  });

  describe("an unknown store", () => {
    it("is 400 on every route, before the body is looked at", async () => {
      for (const [method, path] of [
        ["GET", "/k"],
        ["DELETE", "/k"],
        ["POST", ""],
        ["POST", "/bulk"],
        ["POST", "/transaction"],
      ] as const) {
        const answer = await ask(method, `/v1.0/state/nope${path}`, method === "POST" ? "" : undefined);
        assert.equal(answer.status, 400, `${method} ${path}`);
        assert.deepEqual(errorOf(answer), {
          errorCode: "ERR_STATE_STORE_NOT_FOUND",
          message: "state store nope is not found",
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.ErrorInfo",
              domain: "dapr.io",
              metadata: { appID: "wire" },
              reason: "DAPR_STATE_NOT_FOUND",
            },
          ],
        });
      }
    });

    it("is 500 when no store is configured at all", async () => {
      const empty = await startWire({ manifests: {} });
      try {
        const answer = await empty.ask("GET", "/v1.0/state/any/k");
        assert.equal(answer.status, 500);
        assert.deepEqual(errorOf(answer), {
          errorCode: "ERR_STATE_STORE_NOT_CONFIGURED",
          message: "state store any is not configured",
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.ErrorInfo",
              domain: "dapr.io",
              metadata: { appID: "wire" },
              reason: "DAPR_STATE_NOT_CONFIGURED",
            },
          ],
        });
      } finally {
        await empty.stop();
      }
    });
  });

  describe("what has no route", () => {
    const paths: readonly (readonly [string, string])[] = [
      ["PATCH", STORE],
      ["HEAD", `${STORE}/k`],
      ["GET", "/"],
      ["GET", "/v1.0"],
      ["OPTIONS", `${STORE}/k`],
      ["GET", `${STORE}/a/b`],
      ["POST", "/v1.0/healthz"],
      ["GET", "/v1.1/state/statestore/k"],
    ];
    for (const [method, path] of paths) {
      it(`is 404 ERR_DIRECT_INVOKE: ${method} ${path}`, async () => {
        const answer = await ask(method, path);
        assert.equal(answer.status, 404);
        if (method !== "HEAD") assert.equal(errorOf(answer).errorCode, "ERR_DIRECT_INVOKE");
      });
    }

    it("is 400 text for an escape that is broken", async () => {
      const answer = await ask("GET", `${STORE}/%zz`);
      assert.equal(answer.status, 400);
      assert.match(answer.text, /^failed to unescape request parameter "key"\. Error: /);
      assert.match(String(answer.headers["content-type"]), /^text\/plain/);
    });
  });
});
