import assert from "node:assert/strict";
import { DAPRD_FLAGS, DAPRD_FLAGS_WITHOUT_EFFECT } from "#sidecar/daprd-flags.ts";
import { readSidecarFlags, type SidecarEnvironment } from "#sidecar/flags.ts";
import type { SidecarSettings } from "#sidecar/settings.ts";

function serve(
  argv: readonly string[],
  env: SidecarEnvironment = {},
): { settings: SidecarSettings; withoutEffect: readonly string[] } {
  const request = readSidecarFlags(["--app-id", "orders", ...argv], env);
  assert.ok(request.asks === "serve", JSON.stringify(request));
  return request;
}

describe("readSidecarFlags", () => {
  it("gives daprd's defaults", () => {
    assert.deepEqual(serve([]).settings, {
      appId: "orders",
      namespace: "",
      podName: null,
      appPort: null,
      appProtocol: "http",
      appChannelAddress: "127.0.0.1",
      appMaxConcurrency: -1,
      httpPort: 3500,
      grpcPort: 50_001,
      publicPort: null,
      unixSocketFolder: null,
      http2: true,
      listenAddresses: [],
      publicListenAddresses: [],
      metricsEnabled: true,
      metricsPort: 9090,
      metricsListenAddress: "0.0.0.0",
      componentsSocketsFolder: "/tmp/dapr-components-sockets",
      resourcesPaths: [],
      configPaths: [],
      bodyBytesMax: 4_194_304,
      headerBytesMax: 4096,
      allowedOrigins: [],
      apiToken: null,
      apiLogging: null,
      logLevel: "info",
      logJson: false,
      drainMs: 5000,
      blockShutdownMs: 0,
      reconcileMs: 60_000,
      operator: null,
    });
  });

  const working: [string[], Partial<SidecarSettings>][] = [
    [["--app-id=other"], { appId: "other" }],
    [["--app-port=3000"], { appPort: 3000 }],
    [["--app-port", ""], { appPort: null }],
    [["--app-port=0"], { appPort: null }],
    [["--app-port=-1"], { appPort: null }],
    [["--app-protocol=GRPC"], { appProtocol: "grpc" }],
    [["--app-ssl"], { appProtocol: "https" }],
    [["--app-ssl", "--app-protocol=grpc"], { appProtocol: "grpcs" }],
    [["--app-ssl", "--app-protocol=h2c"], { appProtocol: "h2c" }],
    [["--app-channel-address=10.0.0.1"], { appChannelAddress: "10.0.0.1" }],
    [["--app-max-concurrency=7"], { appMaxConcurrency: 7 }],
    [["--app-max-concurrency=0"], { appMaxConcurrency: -1 }],
    [["--dapr-http-port=3501"], { httpPort: 3501 }],
    [["-dapr-http-port", "3501"], { httpPort: 3501 }],
    [["--dapr-grpc-port=50002"], { grpcPort: 50_002 }],
    [["--dapr-public-port=3502"], { publicPort: 3502 }],
    [["--dapr-public-port", ""], { publicPort: null }],
    [["--dapr-public-listen-address=[::]"], { publicListenAddresses: ["::"] }],
    [["--dapr-listen-addresses=[::1], 127.0.0.1"], { listenAddresses: ["::1", "127.0.0.1"] }],
    [["--resources-path=a", "--resources-path=b,c"], { resourcesPaths: ["a", "b", "c"] }],
    [["--components-path=a"], { resourcesPaths: ["a"] }],
    [["--components-path=a", "--resources-path=b"], { resourcesPaths: ["b"] }],
    [["--config=a.yaml", "--config", "b.yaml"], { configPaths: ["a.yaml", "b.yaml"] }],
    [["--max-body-size=8Mi"], { bodyBytesMax: 8_388_608 }],
    [["--max-body-size=-1"], { bodyBytesMax: 4_194_304 }],
    [["--max-body-size=0"], { bodyBytesMax: 0 }],
    [["--max-body-size=-5"], { bodyBytesMax: 0 }],
    [["--dapr-http-max-request-size=16"], { bodyBytesMax: 16_777_216 }],
    [["--dapr-http-max-request-size=-1"], { bodyBytesMax: 4_194_304 }],
    [["--dapr-http-max-request-size=0"], { bodyBytesMax: 0 }],
    [["--dapr-http-max-request-size=16", "--max-body-size=1Ki"], { bodyBytesMax: 1024 }],
    [["--read-buffer-size=64Ki"], { headerBytesMax: 65_536 }],
    [["--read-buffer-size=-1"], { headerBytesMax: 4096 }],
    [["--read-buffer-size=0"], { headerBytesMax: 1_048_576 }],
    [["--dapr-http-read-buffer-size=16"], { headerBytesMax: 16_384 }],
    [["--dapr-http-read-buffer-size=16", "--read-buffer-size=8Ki"], { headerBytesMax: 8192 }],
    [["--allowed-origins=*"], { allowedOrigins: ["*"] }],
    [["--allowed-origins=http://a,http://b"], { allowedOrigins: ["http://a", "http://b"] }],
    [["--enable-api-logging"], { apiLogging: true }],
    [["--enable-api-logging=false"], { apiLogging: false }],
    [["--enable-metrics=false"], { metricsEnabled: false }],
    [["--metrics-port=9091"], { metricsPort: 9091 }],
    [["--metrics-listen-address=127.0.0.1"], { metricsListenAddress: "127.0.0.1" }],
    [["--log-level=DEBUG"], { logLevel: "debug" }],
    [["--log-level=warning"], { logLevel: "warn" }],
    [["--log-level=panic"], { logLevel: "fatal" }],
    [["--log-as-json"], { logJson: true }],
    [["--dapr-graceful-shutdown-seconds=30"], { drainMs: 30_000 }],
    [["--dapr-graceful-shutdown-seconds=-1"], { drainMs: 5000 }],
    [["--dapr-graceful-shutdown-seconds=0"], { drainMs: 0 }],
    [["--dapr-block-shutdown-duration=1m"], { blockShutdownMs: 60_000 }],
    [["--hot-reload-reconcile-interval=5s"], { reconcileMs: 5000 }],
    [["--hot-reload-reconcile-interval=0"], { reconcileMs: 60_000 }],
    [["--mode=standalone"], {}],
    [["--control-plane-address=op:6500"], {}],
    [["--unix-domain-socket="], {}],
    [["--unix-domain-socket=/run/pannier"], { unixSocketFolder: "/run/pannier" }],
  ];
  for (const [argv, wanted] of working) {
    it(`takes ${argv.join(" ")}`, () => {
      const { settings } = serve(argv);
      assert.deepEqual(settings, { ...serve([]).settings, ...wanted });
    });
  }

  it("has a case above for every flag that works", () => {
    const tried = new Set(working.flatMap(([argv]) => argv).map((word) => word.replace(/^-+/, "").split("=")[0] ?? ""));
    const asking = ["help", "version", "build-info", "wait"];
    assert.deepEqual(
      Object.keys(DAPRD_FLAGS).filter((name) => !tried.has(name) && !asking.includes(name)),
      [],
    );
  });

  it("takes every other flag of daprd and names those that ask for something", () => {
    const argv = Object.entries(DAPRD_FLAGS_WITHOUT_EFFECT).map(([name, { takesValue }]) =>
      takesValue ? `-${name}=x` : `--${name}`,
    );
    const names = Object.keys(DAPRD_FLAGS_WITHOUT_EFFECT).map((name) => `--${name}`);
    assert.deepEqual(serve(argv).withoutEffect, names);
  });

  it("names no flag that asks for nothing, as start scripts pass them", () => {
    const argv = ["--enable-mtls=false", "--placement-host-address=", "--enable-profiling=0", "--config", ""];
    assert.deepEqual(serve(argv).withoutEffect, []);
  });

  it("goes on behind a stray word, as daprd does, and names it", () => {
    const { settings, withoutEffect } = serve(["stray", "--app-port=1"]);
    assert.equal(settings.appPort, 1);
    assert.deepEqual(withoutEffect, ["stray"]);
  });

  it("reads NAMESPACE, POD_NAME and DAPR_API_TOKEN, and no APP_ID", () => {
    const env = { NAMESPACE: "shop", POD_NAME: "orders-0", DAPR_API_TOKEN: "secret", APP_ID: "other" };
    const { settings } = serve([], env);
    assert.equal(settings.namespace, "shop");
    assert.equal(settings.podName, "orders-0");
    assert.equal(settings.apiToken, "secret");
    assert.equal(settings.appId, "orders");
    assert.equal(readSidecarFlags([], env).asks, "refusal");
  });

  it("turns HTTP/2 off by DAPR_HTTP_DISABLE_H2C, as every word for true says", () => {
    for (const [word, http2] of [
      ["true", false],
      ["Y", false],
      ["1", false],
      ["", true],
      ["false", true],
      ["2", true],
    ] as const) {
      assert.equal(serve([], { DAPR_HTTP_DISABLE_H2C: word }).settings.http2, http2, word);
    }
  });

  const inPod = ["--mode=kubernetes", "--control-plane-address=op.ns.svc:6500"];

  it("takes Components from the operator in --mode kubernetes, as the injector writes it", () => {
    const flags = ["--sentry-address=s:443", "--control-plane-trust-domain=d", "--enable-mtls", "--config=app"];
    const { settings, withoutEffect } = serve([...inPod, ...flags], { DAPR_TRUST_ANCHORS: "PEM" });
    assert.deepEqual(settings.operator, {
      host: "op.ns.svc",
      port: 6500,
      identityFolder: "/var/run/secrets/dapr.io/sentrytoken",
      trustAnchors: "PEM",
      configuration: "app",
    });
    assert.deepEqual(settings.configPaths, []);
    assert.deepEqual(withoutEffect, ["--sentry-address", "--control-plane-trust-domain", "--enable-mtls"]);
    assert.equal(serve([]).settings.operator, null);
  });

  it("takes another folder for the identity, an address in brackets and no Configuration", () => {
    const address = "--control-plane-address=[::1]:443";
    const { operator } = serve(["--mode=kubernetes", address], { PANNIER_IDENTITY_FOLDER: "/id" }).settings;
    assert.deepEqual(operator, {
      host: "::1",
      port: 443,
      identityFolder: "/id",
      trustAnchors: "",
      configuration: null,
    });
  });

  it("names the flags that mean something in the other mode only", () => {
    const folders = serve([...inPod, "--resources-path=/a", "--components-path=/b"]);
    assert.deepEqual(folders.withoutEffect, ["--resources-path", "--components-path"]);
    assert.deepEqual(folders.settings.resourcesPaths, []);
    assert.deepEqual(serve(["--control-plane-address=op:1"]).withoutEffect, ["--control-plane-address"]);
  });

  it("takes an empty DAPR_API_TOKEN for none", () => {
    assert.equal(serve([], { DAPR_API_TOKEN: "" }).settings.apiToken, null);
  });

  const refused: [string[], RegExp][] = [
    [[], /--app-id is missing/],
    [["--app-id", ""], /--app-id is missing/],
    [["--app-id=my.app"], /got "my\.app", want a name without dots/],
    [["--app-id=a", "--app-port=3500"], /--dapr-http-port: got 3500, want another port than --app-port/],
    [["--app-id=a", "--app-port=50001"], /--dapr-grpc-port: got 50001/],
    [["--app-id=a", "--mode=kubernetes"], /--control-plane-address: got "", want host:port/],
    [["--app-id=a", "--mode=kubernetes", "--control-plane-address=op:99999"], /got "op:99999", want host:port/],
    [["--app-id=a", "--mode=kubernetes", "--control-plane-address=op:1", "--config=a", "--config=b"], /got 2 names/],
  ];
  for (const [argv, wanted] of refused) {
    it(`refuses to start with ${JSON.stringify(argv)}`, () => {
      const request = readSidecarFlags([...argv, "--log-as-json"], {});
      assert.ok(request.asks === "refusal");
      assert.match(request.error, wanted);
      assert.equal(request.logJson, true);
    });
  }

  it("calls what it cannot read a matter of usage", () => {
    assert.deepEqual(readSidecarFlags(["--app-idd=x"], {}), {
      asks: "usage",
      error: "unknown flag --app-idd; did you mean --app-id?",
    });
    assert.equal(readSidecarFlags(["--metrics-port=x"], {}).asks, "usage");
  });

  const asking: [string[], object][] = [
    [["--version"], { asks: "version" }],
    [["-version"], { asks: "version" }],
    [["--build-info"], { asks: "build-info" }],
    [["-h"], { asks: "help" }],
    [["--help"], { asks: "help" }],
    [["--wait", "--dapr-http-port=3600"], { asks: "wait", httpPort: 3600 }],
  ];
  for (const [argv, wanted] of asking) {
    it(`needs no app id for ${argv.join(" ")}`, () => {
      assert.deepEqual(readSidecarFlags(argv, {}), wanted);
    });
  }
});
