// `pannier sidecar`: the process that runs in pods, in daprd's place. Starts the sidecar in this very process, passes
// signals on to it and turns its end into an exit code.
import { hostname } from "node:os";
import { systemClock } from "#kit/clock.ts";
import { createLog, type Log } from "#kit/log.ts";
import { RUNTIME_VERSION, VERSION } from "#kit/version.ts";
import { DAPRD_FLAGS, DAPRD_FLAGS_WITHOUT_EFFECT } from "#sidecar/daprd-flags.ts";
import { readSidecarFlags, type SidecarRequest } from "#sidecar/flags.ts";
import type { SidecarSettings } from "#sidecar/settings.ts";
import type { Sidecar } from "#sidecar/sidecar.ts";
import { complain, flagRows, verbHelp } from "./help.ts";
import { EXIT_FAILURE, EXIT_OK, type HelpPage, type Host, type Verb } from "./host.ts";
import { WAIT_LIMIT_MS, waitUntilReady } from "./wait.ts";

const help: HelpPage = {
  name: "sidecar",
  summary: "Serves the state API in this process. Takes every flag of daprd, with one dash or two.",
  usage: "sidecar --app-id ID [flags]",
  flags: flagRows(DAPRD_FLAGS),
  notes: [
    `Taken without effect, and named in the log: ${Object.keys(DAPRD_FLAGS_WITHOUT_EFFECT).join(", ")}.`,
    "Environment: NAMESPACE, POD_NAME, DAPR_API_TOKEN, DAPR_HTTP_DISABLE_H2C, DAPR_TRUST_ANCHORS, PANNIER_IDENTITY_FOLDER.",
    "SIGINT and SIGTERM drain and end with exit code 0, a second one ends at once with 1; SIGHUP reloads the manifests.",
  ],
  examples: [
    "pannier sidecar --app-id orders --resources-path /components",
    "pannier sidecar --app-id orders --dapr-http-port 3500 --wait",
  ],
};

function main(argv: readonly string[], host: Host): Promise<number> {
  return answer(readSidecarFlags(argv, host.env), host);
}

export const verb: Verb = { help, main };

async function answer(request: SidecarRequest, host: Host): Promise<number> {
  switch (request.asks) {
    case "serve":
      return serve(request.settings, request.withoutEffect, host);
    case "wait":
      await host.signals.release();
      return (await waitUntilReady(request.httpPort, WAIT_LIMIT_MS)) ? EXIT_OK : EXIT_FAILURE;
    case "usage":
      return complain(host, "sidecar", request.error);
    case "refusal":
      logTo(host, { logLevel: "info", logJson: request.logJson, appId: "" }).fatal(request.error);
      return EXIT_FAILURE;
    default:
      host.stdout.write(PAGES[request.asks]());
      return EXIT_OK;
  }
}

const PAGES: Readonly<Record<"version" | "build-info" | "help", () => string>> = {
  // A start script reads one line with a semantic version here, Dapr's first.
  version: () => `${RUNTIME_VERSION}\n`,
  "build-info": () =>
    [
      `Version: ${RUNTIME_VERSION}`,
      `Pannier: ${VERSION}`,
      `Node: ${process.versions.node}`,
      `SQLite: ${process.versions.sqlite ?? "none"}`,
      `OpenSSL: ${process.versions.openssl}`,
      `Platform: ${process.platform}/${process.arch}\n`,
    ].join("\n"),
  help: () => verbHelp(help),
};

function logTo(host: Host, settings: Pick<SidecarSettings, "logLevel" | "logJson" | "appId">): Log {
  return createLog({
    level: settings.logLevel,
    json: settings.logJson,
    appId: settings.appId,
    instance: hostname(),
    version: VERSION,
    write: (line) => host.stdout.write(line),
    nowMs: () => systemClock.nowMs(),
  });
}

async function serve(settings: SidecarSettings, withoutEffect: readonly string[], host: Host): Promise<number> {
  const log = logTo(host, settings);
  if (withoutEffect.length > 0) log.warn("flags without effect", { flags: withoutEffect.join(" ") });
  const asked = Promise.withResolvers<null>();
  const cut = Promise.withResolvers<number>();
  let running: Sidecar | null = null;
  let reloadAsked = false;
  const reload = (): void => {
    // What is asked for during the start is done after it: the manifests may have been read already.
    reloadAsked = running === null;
    running?.reload().catch((error: unknown) => log.error("reload failed", { error: reason(error) }));
  };
  host.signals.take({
    stop: () => asked.resolve(null),
    hurry: () => cut.resolve(EXIT_FAILURE),
    hangUp: reload,
  });
  // Whoever reads the log may go away; the state API stays.
  host.stdout.on("error", () => undefined);
  const live = async (): Promise<number> => {
    const { startSidecar } = await import("#sidecar/sidecar.ts");
    const starting = startSidecar(settings, {
      env: host.env,
      writeLog: (line) => void host.stdout.write(line),
      onShutdown: (force) => (force ? cut.resolve(EXIT_FAILURE) : asked.resolve(null)),
    });
    running = await Promise.race([starting, asked.promise]);
    if (reloadAsked) reload();
    await asked.promise;
    // Null: asked to stop before anything was served, so there is nothing to drain.
    await running?.close();
    return EXIT_OK;
  };
  try {
    return await Promise.race([live(), cut.promise]);
  } catch (error) {
    log.fatal(reason(error));
    return EXIT_FAILURE;
  } finally {
    await host.signals.release();
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
