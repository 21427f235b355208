// From the command line of `pannier run` to what is to be started. Touches the folder `.pannier`, binds nothing.
import type { Parsed } from "#kit/arguments.ts";
import { systemRandom } from "#kit/random.ts";
import { settingsFrom } from "#sidecar/flags.ts";
import type { SidecarSettings } from "#sidecar/settings.ts";
import type { Host } from "../host.ts";
import { RunFailure } from "./failure.ts";
import type { RunFlags } from "./flags.ts";
import { type Kept, keptAppId, keptResources } from "./folder.ts";
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
  const taken = new Set<number>(settings.appPort === null ? [] : [settings.appPort]);
  const choose = async (flag: keyof RunFlags, port: number, addresses: readonly string[]): Promise<number> => {
    const chosen = await choosePort({ flag, port, asked: given.has(flag), addresses }, taken);
    taken.add(chosen);
    return chosen;
  };
  const { listenAddresses } = settings;
  const httpPort = await choose("dapr-http-port", settings.httpPort, listenAddresses);
  const grpcPort = await choose("dapr-grpc-port", settings.grpcPort, listenAddresses);
  const metricsPort = settings.metricsEnabled
    ? await choose("metrics-port", settings.metricsPort, [settings.metricsListenAddress])
    : settings.metricsPort;
  return { ...settings, httpPort, grpcPort, metricsPort };
}
