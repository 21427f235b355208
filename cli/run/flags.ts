// The command line of `pannier run`: the sidecar's flags with the short names, old names and defaults of `dapr run`.
import { booleanFlag, type Flag, type FlagTable, type Grammar, type IgnoredFlag, textFlag } from "#kit/arguments.ts";
import { DAPRD_FLAGS_WITHOUT_EFFECT, SERVE_FLAGS, type ServeFlags } from "#sidecar/daprd-flags.ts";

export interface RunFlags extends ServeFlags {
  "run-file": string;
  kubernetes: boolean;
  version: boolean;
  help: boolean;
}

export const RUN_FLAGS: FlagTable<RunFlags> = {
  ...SERVE_FLAGS,
  "app-id": { ...named(SERVE_FLAGS["app-id"], "a"), shownDefault: "made up, kept in .pannier/app-id" },
  "app-port": named(SERVE_FLAGS["app-port"], "p"),
  "app-protocol": named(SERVE_FLAGS["app-protocol"], "P", "protocol"),
  "app-max-concurrency": named(SERVE_FLAGS["app-max-concurrency"], null, "max-concurrency"),
  "dapr-http-port": orFree(named(SERVE_FLAGS["dapr-http-port"], "H", "port")),
  "dapr-grpc-port": orFree(named(SERVE_FLAGS["dapr-grpc-port"], "G", "grpc-port")),
  "metrics-port": orFree(named(SERVE_FLAGS["metrics-port"], "M")),
  "resources-path": { ...named(SERVE_FLAGS["resources-path"], "d"), shownDefault: ".pannier/components" },
  config: { ...named(SERVE_FLAGS.config, "c"), shownDefault: ".pannier/config.yaml if it is there" },
  "dapr-listen-addresses": { ...SERVE_FLAGS["dapr-listen-addresses"], shownDefault: "127.0.0.1,::1" },
  "metrics-listen-address": {
    ...SERVE_FLAGS["metrics-listen-address"],
    fallback: "127.0.0.1",
    shownDefault: "127.0.0.1",
  },
  "unix-domain-socket": named(SERVE_FLAGS["unix-domain-socket"], "u"),
  "run-file": textFlag({
    placeholder: "FILE",
    fallback: "",
    short: "f",
    doc: "several apps from one file; not taken here",
  }),
  kubernetes: booleanFlag({ fallback: false, short: "k", doc: "run in a cluster; not taken here" }),
  version: booleanFlag({ fallback: false, doc: "print the version" }),
  help: booleanFlag({ fallback: false, short: "h", doc: "print this help" }),
};

export const RUN_FLAGS_WITHOUT_EFFECT: Readonly<Record<string, IgnoredFlag>> = {
  ...DAPRD_FLAGS_WITHOUT_EFFECT,
  "dapr-internal-grpc-port": { takesValue: true, short: "I" },
  image: { takesValue: true, short: null },
  "runtime-path": { takesValue: true, short: null },
};

export const RUN_GRAMMAR: Grammar<RunFlags> = {
  flags: RUN_FLAGS,
  ignored: RUN_FLAGS_WITHOUT_EFFECT,
  stopAtWord: true,
};

/** The flags that help shows: what one needs on a laptop. The rest is in `pannier sidecar --help`. */
export const SHOWN_RUN_FLAGS: readonly (keyof RunFlags)[] = [
  "app-id",
  "app-port",
  "app-protocol",
  "dapr-http-port",
  "dapr-grpc-port",
  "metrics-port",
  "resources-path",
  "config",
  "dapr-listen-addresses",
  "enable-api-logging",
  "log-level",
  "max-body-size",
  "help",
];

/** `oldName`: what the first releases of the Dapr CLI called it. */
function named<T>(flag: Flag<T>, short: string | null, oldName?: string): Flag<T> {
  return { ...flag, short, aliases: oldName === undefined ? [] : [oldName] };
}

function orFree(flag: Flag<number>): Flag<number> {
  return { ...flag, shownDefault: `${flag.fallback}, or a free one` };
}
