// From the command line of `pannier run` to what is to be started. Touches the folder `.pannier`, binds nothing.
import type { Parsed } from "#kit/arguments.ts";
import { systemRandom } from "#kit/random.ts";
import { settingsFrom } from "#sidecar/flags.ts";
import type { SidecarSettings } from "#sidecar/settings.ts";
import type { Host } from "../host.ts";
import { RunFailure } from "./failure.ts";
import type { RunFlags } from "./flags.ts";
import { type Kept, keptAppId, keptConfiguration, keptResources } from "./folder.ts";
import { choosePort, usableAddresses } from "./ports.ts";

export interface Plan {
  readonly settings: SidecarSettings;
  /** The flags on the command line: what somebody asked for stays, a port that nobody asked for may be exchanged. */
  readonly given: ReadonlySet<keyof RunFlags>;
  readonly keptAppId: Kept | null;
  readonly keptResources: Kept | null;
  /** Flags without effect, as they are to be shown. */
  readonly withoutEffect: readonly string[];
  /** The app's command; empty when there is none. */
  readonly command: readonly string[];
}

const LOOPBACK: readonly string[] = ["127.0.0.1", "::1"];

/** Settles everything but the ports. Throws RunFailure for what does not go. */
export async function makePlan(parsed: Parsed<RunFlags>, host: Host): Promise<Plan> {
  const { values, given } = parsed;
  refuseOthers(values);
  const appId = given.has("app-id") ? null : await keptAppId(host.cwd, systemRandom);
  const ownManifests = values["resources-path"].length > 0 || values["components-path"] !== "";
  const resources = ownManifests ? null : await keptResources(host.cwd);
  const outcome = settingsFrom(
    {
      ...values,
      "app-id": appId?.value ?? values["app-id"],
      "resources-path": resources === null ? values["resources-path"] : [resources.value],
      config: given.has("config") ? values.config : await keptConfiguration(host.cwd),
      "dapr-listen-addresses": given.has("dapr-listen-addresses")
        ? values["dapr-listen-addresses"]
        : await usableAddresses(LOOPBACK),
    },
    host.env,
  );
  if ("error" in outcome) throw new RunFailure(outcome.error);
  return {
    settings: outcome.settings,
    given,
    keptAppId: appId,
    keptResources: resources,
    withoutEffect: parsed.ignored.map((name) => `--${name}`),
    command: parsed.words,
  };
}

function refuseOthers(values: RunFlags): void {
  if (values["run-file"] !== "") {
    throw new RunFailure(
      "--run-file is not taken: pannier run starts one app; start each app by a pannier run of its own",
    );
  }
  if (values.kubernetes) throw new RunFailure("--kubernetes is not taken: pannier run starts the app on this machine");
}

/** The settings with ports that are free at this moment; asked-for ones stay or throw RunFailure. */
export async function withFreePorts({ settings, given }: Plan): Promise<SidecarSettings> {
  const { listenAddresses, appPort, publicPort, metricsEnabled, metricsListenAddress, unixSocketFolder } = settings;
  const owners = new Map<number, string>();
  if (appPort !== null) owners.set(appPort, "app-port");
  if (publicPort !== null && publicPort !== 0) owners.set(publicPort, "dapr-public-port");
  const wishes = [
    // With sockets no port of the APIs is bound.
    ...(unixSocketFolder === null
      ? ([
          { name: "httpPort", flag: "dapr-http-port", addresses: listenAddresses },
          { name: "grpcPort", flag: "dapr-grpc-port", addresses: listenAddresses },
        ] as const)
      : []),
    ...(metricsEnabled
      ? ([{ name: "metricsPort", flag: "metrics-port", addresses: [metricsListenAddress] }] as const)
      : []),
  ] as const;
  const chosen: Partial<Record<(typeof wishes)[number]["name"], number>> = {};
  // Asked-for ports first: a default gives way to them, never the other way round.
  for (const asked of [true, false]) {
    for (const { name, flag, addresses } of wishes) {
      if (given.has(flag) !== asked) continue;
      const port = await choosePort({ flag, port: settings[name], asked, addresses }, owners);
      chosen[name] = port;
      if (port !== 0) owners.set(port, flag);
    }
  }
  return { ...settings, ...chosen };
}
