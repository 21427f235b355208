// The rows of docs/differences.md on manifests, secrets and reload.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { check } from "#cli/check.ts";
import { decodeFields } from "#crds/fields.ts";
import { describeFault } from "#kit/fault.ts";
import { driver } from "#sidecar/stores/mysql/mysql.ts";
import { fields, type RedisSettings, retryLimits } from "#sidecar/stores/redis/fields.ts";
import { CUT_PEM, OTHER_PEM, PEM } from "#test/stores/pem.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireOptions, type WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";

async function over(options: WireOptions, test: (wire: WireSidecar) => Promise<void>): Promise<void> {
  const wire = await startWire(options);
  try {
    await test(wire);
  } finally {
    await wire.stop();
  }
}

const memory = { "store.yaml": component("statestore", "state.in-memory") };

describe("differences in Components", () => {
  it("M1: a changed manifest whose store cannot be opened leaves the old one serving", () =>
    over({ manifests: memory }, async (wire) => {
      await save(wire, "m1", "1");
      const unreachable = component("statestore", "state.redis", { redisHost: "127.0.0.1:1" });
      await writeFile(join(wire.folder, "store.yaml"), unreachable);
      await until("the failure is told", async () => (await ask(wire, "GET", "/pannier/v1/health")).status === 503);
      assert.equal((await ask(wire, "GET", `${STORE}/m1`)).text, "1");
      const metadata = JSON.parse((await ask(wire, "GET", "/v1.0/metadata")).text);
      assert.match(metadata.extended["pannier.component.statestore"], /^kept: /);
    }));

  it("M2: a changed file with equal settings does not reopen the store", () =>
    over({ manifests: memory }, async (wire) => {
      await save(wire, "m2", "1");
      await writeFile(join(wire.folder, "store.yaml"), `# a remark\n${component("statestore", "state.in-memory")}`);
      await writeFile(join(wire.folder, "second.yaml"), component("second", "state.in-memory"));
      await until("the change is seen", () => wire.sidecar.stores.find("second") !== undefined);
      assert.equal((await ask(wire, "GET", `${STORE}/m2`)).text, "1");
    }));

  it("M3: all faults of a manifest are told, each with its line", () =>
    over({ manifests: memory }, async (wire) => {
      const path = join(wire.folder, "bad.yaml.txt.yaml");
      await writeFile(path, component("bad", "state.redis", { redisHost: "h", redisMaxRetries: "ten", redisDB: "x" }));
      let report = "";
      const write = (text: string): void => {
        report += text;
      };
      assert.equal(await check([path], { output: "text", write }), 1);
      assert.match(report, /:11: component "bad" \(state\.redis\): redisMaxRetries: got "ten", want a whole number/);
      assert.match(report, /redisDB: got "x"/);
    }));

  it("M4: an unknown field draws a warning with the nearest known one", () =>
    over(
      { manifests: { "s.yaml": component("statestore", "state.in-memory", { keyPrefx: "none" }) } },
      async (wire) => {
        const line = wire.log.find((text) => text.includes("keyPrefx"));
        assert.match(String(line), /"level":"warning".*did you mean keyPrefix\?/);
      },
    ));

  async function refused(metadata: Record<string, string>): Promise<string> {
    const starting = startWire({ manifests: { "s.yaml": component("statestore", "state.in-memory", metadata) } });
    const error: unknown = await starting.then(
      () => "started",
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Error);
    return error.message;
  }

  it("M5: an outbox in a Component is refused", async () => {
    const message = await refused({ outboxPublishPubsub: "bus", outboxPublishTopic: "orders" });
    assert.match(message, /outboxPublishPubsub.*no pub\/sub/s);
  });

  it("M7: a secret file that changes is read again", () =>
    over({ manifests: {} }, async (wire) => {
      const secrets = join(wire.folder, "secrets.json");
      await writeFile(secrets, JSON.stringify({ prefix: "old" }));
      await writeFile(
        join(wire.folder, "secrets.yaml"),
        component("local", "secretstores.local.file", { secretsFile: secrets }),
      );
      await writeFile(join(wire.folder, "store.yaml"), withSecret("keyPrefix", "prefix"));
      await until("the store is open", () => wire.sidecar.stores.find("statestore") !== undefined);
      await writeFile(secrets, JSON.stringify({ prefix: "new" }));
      await until("the new secret is in use", () => wire.sidecar.stores.find("statestore")?.keyPrefix === "new||");
    }));

  it("M8: a missing secret is an error of its Component", async () => {
    const manifests = {
      "secrets.yaml": component("local", "secretstores.local.env"),
      "store.yaml": withSecret("keyPrefix", "NO_SUCH_VARIABLE"),
    };
    await assert.rejects(startWire({ manifests }), /statestore.*NO_SUCH_VARIABLE/s);
  });

  it("M9: a member that stands twice is an error with its line", () =>
    over({ manifests: memory }, async (wire) => {
      const path = join(wire.folder, "twice.yaml");
      await writeFile(path, `${component("twice", "state.in-memory")}kind: Component\n`);
      let report = "";
      const write = (text: string): void => {
        report += text;
      };
      assert.equal(await check([path], { output: "text", write }), 1);
      assert.match(report, /twice\.yaml:9: /);
    }));

  it("M11: redisMinRetryInterval is 8 ms by default", () => {
    const properties = [{ name: "redisHost", value: "h", secret: false }];
    const { settings } = decodeFields<RedisSettings>(fields, properties, { others: [], page: "" });
    assert.ok(settings !== null);
    assert.equal(retryLimits(settings).minMs, 8);
  });

  it("M13: a certificate that cannot be read is told, with its place among the others", () => {
    const { faults } = driver.decode(
      [
        { name: "connectionString", value: "app@tcp(127.0.0.1:3306)/", secret: false },
        { name: "pemContents", value: `${PEM}${CUT_PEM}\n${OTHER_PEM}`, secret: false },
      ],
      [],
    );
    assert.match(faults.map(describeFault).join(), /^pemContents: .* certificate 2 of 3 cannot be;/);
  });

  it("M12: a boolean may be spelled as YAML does", () => {
    const properties = [
      { name: "redisHost", value: "h", secret: false },
      { name: "enableTLS", value: "Yes", secret: false },
    ];
    const decoded = decodeFields<RedisSettings>(fields, properties, { others: [], page: "" });
    assert.equal(decoded.settings?.enableTLS, true);
  });

  it("M10: a secret keeps the quotes that it stands in", async () => {
    const manifests = {
      "secrets.yaml": component("local", "secretstores.local.env"),
      "store.yaml": withSecret("keyPrefix", "QUOTED"),
    };
    await over({ manifests, env: { QUOTED: '"q"' } }, async (wire) => {
      assert.equal(wire.sidecar.stores.find("statestore")?.keyPrefix, '"q"||');
    });
  });
});

function withSecret(field: string, secret: string): string {
  const reference = `    - name: ${field}\n      secretKeyRef: { name: ${secret}, key: ${secret} }\n`;
  return `${component("statestore", "state.in-memory").replace("  metadata: []\n", `  metadata:\n${reference}`)}auth:\n  secretStore: local\n`;
}
