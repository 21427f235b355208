import assert from "node:assert/strict";
import { type BannerFacts, banner } from "#cli/run/banner.ts";
import { appEnvironment, reachableHost } from "#cli/run/environment.ts";
import { prefixFor } from "#cli/run/prefix.ts";
import { StartLog } from "#cli/run/start-log.ts";
import { readSidecarFlags } from "#sidecar/flags.ts";
import type { SidecarSettings } from "#sidecar/settings.ts";

function settings(argv: readonly string[] = [], env: Record<string, string> = {}): SidecarSettings {
  const request = readSidecarFlags(["--app-id=orders", ...argv], env);
  assert.ok(request.asks === "serve");
  return request.settings;
}

const FACTS: BannerFacts = {
  settings: settings(["--dapr-listen-addresses=127.0.0.1,::1", "--resources-path=.pannier/components"]),
  stores: [{ name: "statestore", type: "state.sqlite" }],
  keptAppId: { value: "orders", made: true },
  keptResources: { value: ".pannier/components", made: true },
  command: [],
  cwd: "/somewhere",
};

describe("banner", () => {
  it("says where, with which store, as which app and from which manifest", () => {
    const text = banner(FACTS);
    assert.match(text, /state API +http:\/\/localhost:3500\n/);
    assert.match(text, /metrics +http:\/\/localhost:9090\/metrics\n/);
    assert.match(text, /app id +orders \(kept in \.pannier\/app-id\)\n/);
    assert.match(text, /store +statestore \(state\.sqlite\)\n/);
    assert.match(text, /manifests +\.pannier\/components\/statestore\.yaml, just written/);
  });

  it("shows the two curl lines with the store's name in its place", () => {
    const text = banner({ ...FACTS, stores: [{ name: "it's a store", type: "state.redis" }] });
    assert.match(text, /curl -X POST 'http:\/\/localhost:3500\/v1\.0\/state\/it%27s%20a%20store' -d '\[/);
    assert.match(text, /curl 'http:\/\/localhost:3500\/v1\.0\/state\/it%27s%20a%20store\/greeting'/);
  });

  it("shows the unix socket in place of the port, and gives the app no port that nobody listens on", () => {
    const onSocket = settings(["--unix-domain-socket=/run/pannier"]);
    const text = banner({ ...FACTS, settings: onSocket });
    assert.match(text, /state API +unix socket \/run\/pannier\/dapr-orders-http\.socket\n/);
    assert.match(
      text,
      /curl --unix-socket '\/run\/pannier\/dapr-orders-http\.socket' 'http:\/\/localhost\/v1\.0\/state\/statestore\/greeting'/,
    );
    const environment = appEnvironment(onSocket);
    assert.equal(environment.DAPR_GRPC_ENDPOINT, "unix:///run/pannier/dapr-orders-grpc.socket");
    assert.deepEqual([environment.DAPR_HTTP_PORT, environment.DAPR_HTTP_ENDPOINT], [undefined, undefined]);
  });

  it("sends the token by its variable and never shows it", () => {
    const text = banner({ ...FACTS, settings: settings([], { DAPR_API_TOKEN: "hush" }) });
    assert.equal(text.match(/-H "dapr-api-token: \$DAPR_API_TOKEN"/g)?.length, 2);
    assert.doesNotMatch(text, /hush/);
  });

  it("shows no curl line without a store", () => {
    const text = banner({ ...FACTS, stores: [] });
    assert.match(text, /store +none/);
    assert.doesNotMatch(text, /curl/);
  });

  it("shows the address that was asked for", () => {
    assert.match(
      banner({ ...FACTS, settings: settings(["--dapr-listen-addresses=[::1]"]) }),
      /http:\/\/\[::1\]:3500\n/,
    );
  });
});

describe("the app's environment", () => {
  it("names id, ports and endpoints as the Dapr CLI does", () => {
    assert.deepEqual(appEnvironment(settings(["--app-port=3000", "--dapr-listen-addresses=127.0.0.1"])), {
      APP_ID: "orders",
      APP_PORT: "3000",
      APP_PROTOCOL: "http",
      APP_CHANNEL_ADDRESS: "127.0.0.1",
      DAPR_HTTP_PORT: "3500",
      DAPR_GRPC_PORT: "50001",
      DAPR_METRICS_PORT: "9090",
      DAPR_HTTP_ENDPOINT: "http://127.0.0.1:3500",
      DAPR_GRPC_ENDPOINT: "http://127.0.0.1:50001",
    });
  });

  it("leaves out what there is not", () => {
    const env = appEnvironment(settings(["--enable-metrics=false"]));
    assert.ok(!("APP_PORT" in env) && !("DAPR_METRICS_PORT" in env));
  });

  for (const [addresses, wanted] of [
    [[], "127.0.0.1"],
    [["0.0.0.0"], "127.0.0.1"],
    [["::"], "[::1]"],
    [["::1"], "[::1]"],
    [["10.1.2.3", "127.0.0.1"], "10.1.2.3"],
  ] as const) {
    it(`reaches a server on ${JSON.stringify(addresses)} by ${wanted}`, () => {
      assert.equal(reachableHost(addresses), wanted);
    });
  }
});

describe("prefix", () => {
  const write = (): boolean => true;
  it("is in colour on a terminal, unless NO_COLOR says no", () => {
    assert.equal(prefixFor("APP", { isTTY: true, write }, {}), "\u001b[36m== APP == \u001b[0m");
    assert.equal(prefixFor("APP", { isTTY: true, write }, { NO_COLOR: "" }), "\u001b[36m== APP == \u001b[0m");
    assert.equal(prefixFor("APP", { isTTY: true, write }, { NO_COLOR: "1" }), "== APP == ");
    assert.equal(prefixFor("PANNIER", { write }, {}), "== PANNIER == ");
  });
});

describe("start log", () => {
  const info = 'time=2026-01-02T03:04:05.678Z level=info msg="x"\n';
  const warning = 'time=2026-01-02T03:04:05.678Z level=warning msg="level=info"\n';

  function record(hold: boolean): { log: StartLog; lines: string[] } {
    const lines: string[] = [];
    return { log: new StartLog((line) => lines.push(line), hold), lines };
  }

  it("keeps lines back, and after a good start shows warnings and all that follows", () => {
    const { log, lines } = record(true);
    log.line(info);
    log.line(warning);
    assert.deepEqual(lines, []);
    log.started();
    assert.deepEqual(lines, [warning]);
    log.line(info);
    assert.deepEqual(lines, [warning, info]);
  });

  it("shows all of a failed start", () => {
    const { log, lines } = record(true);
    log.line(info);
    log.failed();
    assert.deepEqual(lines, [info]);
  });

  it("keeps nothing back when told so", () => {
    const { log, lines } = record(false);
    log.line(info);
    assert.deepEqual(lines, [info]);
  });
});
