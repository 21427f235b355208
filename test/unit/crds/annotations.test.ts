import assert from "node:assert/strict";
import { isEnabled, readAnnotations } from "#crds/annotation-reader.ts";
import { readQuantity } from "#crds/annotation-values.ts";
import { ANNOTATIONS, ANNOTATIONS_WITHOUT_EFFECT, type AnnotationSettings } from "#crds/annotations.ts";
import { describeFault } from "#kit/fault.ts";

function settingsOf(annotations: Record<string, unknown>): AnnotationSettings {
  const { settings, faults } = readAnnotations(annotations);
  assert.ok(settings !== null, faults.map(describeFault).join("; "));
  return settings;
}

function told(annotations: Record<string, unknown>): string[] {
  return readAnnotations(annotations).faults.map(describeFault);
}

describe("annotations", () => {
  it("have Dapr's defaults where nothing is given", () => {
    const settings = settingsOf({});
    assert.equal(settings["grpc-port"], 50_001);
    assert.equal(settings["metrics-port"], 9090);
    assert.equal(settings["sidecar-listen-addresses"], "[::1],127.0.0.1");
    assert.equal(settings["sidecar-liveness-probe-delay-seconds"], 180);
    assert.equal(settings["graceful-shutdown-seconds"], -1);
    assert.equal(settings["enable-metrics"], true);
    assert.equal(settings["enable-api-logging"], null);
    assert.ok(Object.isFrozen(settings));
  });

  it("open the gate by exactly true, in any case, under either prefix", () => {
    for (const word of ["true", "TRUE", "True"]) assert.equal(isEnabled({ "dapr.io/enabled": word }), true);
    assert.equal(isEnabled({ "pannier.io/enabled": "true" }), true);
    for (const word of ["yes", "1", "on", "false", "", " true"])
      assert.equal(isEnabled({ "dapr.io/enabled": word }), false);
    assert.equal(isEnabled({}), false);
  });

  it("are known under both prefixes, and both may be given when they agree", () => {
    assert.equal(settingsOf({ "pannier.io/app-port": "80" })["app-port"], 80);
    assert.equal(settingsOf({ "dapr.io/app-port": "80", "pannier.io/app-port": "80" })["app-port"], 80);
    assert.deepEqual(told({ "dapr.io/app-port": "80", "pannier.io/app-port": "81" }), [
      "dapr.io/app-port: want the same value as pannier.io/app-port, or only one of the two",
    ]);
  });

  it("open the gate by Pannier's own where Dapr's is shut, so that only one injector takes the pod", () => {
    assert.deepEqual(told({ "dapr.io/enabled": "false", "pannier.io/enabled": "true" }), []);
    assert.equal(settingsOf({ "dapr.io/enabled": "false", "pannier.io/enabled": "true" }).enabled, true);
    assert.deepEqual(told({ "dapr.io/enabled": "true", "pannier.io/enabled": "True" }), []);
    // Whoever writes this wants no sidecar, or has mistyped: nobody is to guess which.
    assert.equal(told({ "dapr.io/enabled": "true", "pannier.io/enabled": "no" }).length, 1);
  });

  const wrong: [string, unknown, RegExp][] = [
    ["dapr.io/app-port", "x", /^dapr\.io\/app-port: got "x", want a whole number from 0 to 65535$/],
    ["dapr.io/app-port", "65536", /got "65536"/],
    ["dapr.io/metrics-port", "0", /want a whole number from 1 to 65535/],
    ["dapr.io/app-id", "Orders", /want an app id/],
    ["dapr.io/app-id", "a".repeat(59), /at most 58/],
    ["dapr.io/app-id", "orders-", /a letter or digit at both ends/],
    ["dapr.io/log-as-json", "maybe", /want a boolean/],
    ["dapr.io/enable-api-logging", "maybe", /want a boolean/],
    ["dapr.io/sidecar-memory-limit", "-5Mi", /want an amount/],
    ["dapr.io/sidecar-cpu-request", "10 m", /want an amount/],
    ["dapr.io/max-body-size", "4 MB", /want a size/],
    ["dapr.io/block-shutdown-duration", "soon", /want a duration/],
    ["dapr.io/config", "$(DAPR_API_TOKEN)", /want the name of a Configuration/],
    ["dapr.io/volume-mounts", "data", /which entry 1 is not/],
    ["dapr.io/volume-mounts", "a:/a,b:b", /which entry 2 is not/],
    ["dapr.io/env-from-secret", "A=Secret", /which entry 1 is not/],
    ["dapr.io/env-from-secret", "A=s:..", /which entry 1 is not/],
    ["dapr.io/env-from-secret", "A=a..b", /which entry 1 is not/],
    ["dapr.io/api-token-secret", "a.-b", /want the name of a Secret/],
    ["dapr.io/config", "a".repeat(254), /want the name of a Configuration/],
    ["dapr.io/env", "POD_NAME=x", /other names than POD_NAME/],
    ["dapr.io/log-level", "loud", /want one of debug, info, warn, error, fatal/],
    ["dapr.io/sidecar-listen-addresses", "127.0.0.1 ::1", /want IP addresses or host names, separated by commas/],
    ["dapr.io/sidecar-listen-addresses", "127.0.0.256", /want IP addresses/],
    ["dapr.io/sidecar-listen-addresses", "[127.0.0.1]", /want IP addresses/],
    ["dapr.io/sidecar-listen-addresses", "127.0.0.1:3500", /want IP addresses/],
    ["dapr.io/sidecar-listen-addresses", "[::1", /want IP addresses/],
    ["dapr.io/sidecar-listen-addresses", "::1,-a", /want IP addresses/],
    ["dapr.io/sidecar-listen-addresses", "$(POD_IP)", /want IP addresses/],
    ["dapr.io/sidecar-listen-addresses", `${"a.".repeat(127)}a`, /want IP addresses/],
    ["dapr.io/unix-domain-socket-path", "sockets", /want an absolute path/],
    ["dapr.io/enabled", true, /got "true", want text: put the value in quotes/],
    ["pannier.io/http-port", "x", /^pannier\.io\/http-port: got "x"/],
  ];
  for (const [key, value, pattern] of wrong) {
    it(`are refused with name and value: ${key}: ${JSON.stringify(value)?.slice(0, 30)}`, () => {
      const { settings, faults } = readAnnotations({ [key]: value });
      assert.equal(settings, null);
      assert.match(faults.map(describeFault).join(), pattern);
    });
  }

  it("hide what stands in env, where a password may", () => {
    const [text = ""] = told({ "dapr.io/env": "hunter2" });
    assert.match(text, /^dapr\.io\/env: want NAME=value/);
    assert.doesNotMatch(text, /hunter2/);
    // As one writes it who takes this annotation for the other.
    assert.doesNotMatch(told({ "dapr.io/env-from-secret": "PASSWORD=Hunter2" }).join(), /Hunter2/);
  });

  it("are all told at once", () => {
    assert.equal(told({ "dapr.io/app-port": "x", "dapr.io/grpc-port": "y", "dapr.io/app-prt": "1" }).length, 3);
  });

  it("give addresses and host names to listen on, as they are written", () => {
    for (const text of [
      "",
      "[::1],127.0.0.1",
      "::, 0.0.0.0",
      "localhost,my_host.example.",
      "fe80::1%eth0",
      "10.0.0.1,",
    ])
      assert.equal(settingsOf({ "dapr.io/sidecar-listen-addresses": text })["sidecar-listen-addresses"], text);
  });

  it("take an empty one for none where the injector has a default of its own", () => {
    const empty = { "dapr.io/log-level": "", "pannier.io/log-as-json": "" };
    const { settings } = readAnnotations(empty, { "log-level": "debug", "log-as-json": true });
    assert.deepEqual([settings?.["log-level"], settings?.["log-as-json"]], ["debug", true]);
    assert.deepEqual([settingsOf(empty)["log-level"], settingsOf(empty)["log-as-json"]], ["info", false]);
    const said = readAnnotations({ "dapr.io/log-as-json": "no" }, { "log-as-json": true });
    assert.equal(said.settings?.["log-as-json"], false);
  });

  it("split variables only before a NAME=, so that values may hold commas", () => {
    assert.deepEqual(settingsOf({ "dapr.io/env": "A=1,2, 3,B=x=y, C=" }).env, [
      { name: "A", value: "1,2, 3" },
      { name: "B", value: "x=y" },
      { name: "C", value: "" },
    ]);
  });

  it("take no blanks around a variable into its value, as Dapr", () => {
    assert.deepEqual(settingsOf({ "dapr.io/env": " A=1 ,\n B=x y\n" }).env, [
      { name: "A", value: "1" },
      { name: "B", value: "x y" },
    ]);
  });

  it("take a secret's name for its key where none is given", () => {
    assert.deepEqual(settingsOf({ "dapr.io/env-from-secret": "A=one:k, B=two" })["env-from-secret"], [
      { name: "A", secret: "one", key: "k" },
      { name: "B", secret: "two", key: "two" },
    ]);
  });

  const unknown: [string, string | null][] = [
    ["dapr.io/app-prt", "did you mean dapr.io/app-port?"],
    ["pannier.io/enalbed", "did you mean pannier.io/enabled?"],
    ["dapr.io/http-port", "did you mean pannier.io/http-port?"],
    ["dapr.io/enable-profilng", "did you mean dapr.io/enable-profiling?"],
    ["pannier.io/something-else", "it has no effect"],
    ["pannier.io/injected-by", null],
    ["pannier.io/labels-before", null],
    ["example.com/app-prt", null],
    ["dapr.iox/app-port", null],
  ];
  for (const [key, hint] of unknown) {
    it(`${hint === null ? "leave alone" : "warn of"} ${key}`, () => {
      const { settings, faults } = readAnnotations({ [key]: "x" });
      assert.notEqual(settings, null);
      assert.deepEqual(
        faults.map((fault) => fault.hint?.split("; ").at(-1)),
        hint === null ? [] : [hint],
      );
    });
  }

  it("say of each that is taken for Dapr's sake that it has no effect, unless it asks for nothing", () => {
    for (const [name, why] of Object.entries(ANNOTATIONS_WITHOUT_EFFECT)) {
      assert.deepEqual(told({ [`dapr.io/${name}`]: "5" }), [
        `dapr.io/${name}: want nothing: it has no effect here; ${why}`,
      ]);
      for (const value of ["", "0", "False"]) assert.deepEqual(told({ [`dapr.io/${name}`]: value }), []);
      assert.ok(!(name in ANNOTATIONS));
    }
  });

  it("never throw, whatever stands in them", () => {
    for (const name of Object.keys(ANNOTATIONS))
      for (const value of [
        "",
        ",",
        "=",
        ":",
        ",=,",
        "\u0000",
        "x".repeat(100_000),
        ",".repeat(50_000),
        null,
        1,
        {},
        [],
      ])
        readAnnotations({ [`dapr.io/${name}`]: value, [`pannier.io/${name}`]: value });
  });

  // One that is read in the square of its length holds the webhook up for minutes, and this test beyond its time.
  it("are read in one pass, however long they are", () => {
    for (const name of Object.keys(ANNOTATIONS))
      for (const value of ["1".repeat(300_000), `${"1".repeat(300_000)}x`]) told({ [`pannier.io/${name}`]: value });
  });

  it("are looked up by likeness only while they are few, and every one is warned of", () => {
    const many = Object.fromEntries(Array.from({ length: 30_000 }, (_, at) => [`dapr.io/app-prt${at}`, "x"]));
    const { faults } = readAnnotations({ "dapr.io/app-prt": "1", ...many });
    assert.equal(faults.length, 30_001);
    assert.match(faults[0]?.hint ?? "", /did you mean dapr\.io\/app-port/);
    assert.equal(faults.at(-1)?.hint, "it has no effect");
  });
});

describe("quantities", () => {
  it("are the same amount however they are written", () => {
    for (let milli = 1; milli <= 5000; milli++)
      assert.equal(readQuantity(`${milli}m`)?.amount, readQuantity(`${milli / 1000}`)?.amount, `${milli}m`);
    for (const [left, right] of [
      ["1.009k", "1009"],
      ["9u", "0.009m"],
      ["0.1Mi", "104857.6"],
    ] as const)
      assert.equal(readQuantity(left)?.amount, readQuantity(right)?.amount, left);
  });

  const amounts: [string, number | null][] = [
    ["50m", 0.05],
    ["96Mi", 96 * 2 ** 20],
    ["1.5", 1.5],
    ["1e3", 1000],
    ["1E", 1e18],
    ["+2k", 2000],
    [".5", 0.5],
    ["1e400", null],
    ["-1", null],
    ["1KB", null],
    ["1e3Mi", null],
    ["", null],
  ];
  for (const [text, amount] of amounts) {
    it(`read ${JSON.stringify(text)} as ${amount}`, () => {
      assert.equal(readQuantity(text)?.amount ?? null, amount);
    });
  }
});
