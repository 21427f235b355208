// The flags that say what sidecars are like, the same for the operator and for `pannier inject`. Reads no command line.
import { type Quantity, readQuantity } from "#crds/annotation-values.ts";
import { booleanFlag, type Flag, type FlagTable, textFlag, wholeFlag, wordFlag } from "#kit/arguments.ts";
import { LOG_LEVELS, type LogLevel } from "#kit/log.ts";
import { defaultSettings, type InjectSettings } from "./settings.ts";

export interface SidecarFlags {
  "sidecar-cpu-request": Quantity | null;
  "sidecar-cpu-limit": Quantity | null;
  "sidecar-memory-request": Quantity | null;
  "sidecar-memory-limit": Quantity | null;
  /** -1: nobody says. */
  "sidecar-run-as-user": number;
  "sidecar-log-level": LogLevel;
  "sidecar-log-as-json": boolean;
}

const DEFAULTS = defaultSettings("");
const { resources: AMOUNTS } = DEFAULTS;
const UID_MAX = 2 ** 31 - 1;

/** Each doc is a phrase without a stop, as the command line's are. */
export const SIDECAR_FLAGS: FlagTable<SidecarFlags> = {
  "sidecar-cpu-request": quantityFlag("CPU request of sidecars; empty for none", AMOUNTS.cpuRequest),
  "sidecar-cpu-limit": quantityFlag("CPU limit of sidecars; empty for none", AMOUNTS.cpuLimit),
  "sidecar-memory-request": quantityFlag("memory request of sidecars; empty for none", AMOUNTS.memoryRequest),
  "sidecar-memory-limit": quantityFlag("memory limit of sidecars; empty for none", AMOUNTS.memoryLimit),
  "sidecar-run-as-user": wholeFlag({
    placeholder: "UID",
    doc: "user and group of sidecars; -1 to leave it to the image and the cluster",
    fallback: DEFAULTS.runAsUser ?? -1,
    min: -1,
    max: UID_MAX,
  }),
  "sidecar-log-level": wordFlag({
    placeholder: "LEVEL",
    words: LOG_LEVELS,
    doc: "log level of sidecars",
    fallback: DEFAULTS.logLevel,
  }),
  "sidecar-log-as-json": booleanFlag({ doc: "sidecars log JSON", fallback: DEFAULTS.logAsJson }),
};

function quantityFlag(doc: string, fallback: Quantity | null): Flag<Quantity | null> {
  const want = 'an amount of Kubernetes, as in "100m" or "96Mi"';
  const text = textFlag({ placeholder: "QUANTITY", doc, fallback: fallback?.text ?? "" });
  const read: Flag<Quantity | null>["read"] = (given) => {
    const value = given === "" ? null : readQuantity(given);
    return value === null && given !== "" ? { want } : { value };
  };
  return { ...text, fallback, read };
}

/** What the flags say, as part of the settings. */
export function sidecarSettings(
  flags: Readonly<SidecarFlags>,
): Pick<InjectSettings, "resources" | "runAsUser" | "runAsGroup" | "logLevel" | "logAsJson"> {
  const user = flags["sidecar-run-as-user"];
  return {
    resources: {
      cpuRequest: flags["sidecar-cpu-request"],
      cpuLimit: flags["sidecar-cpu-limit"],
      memoryRequest: flags["sidecar-memory-request"],
      memoryLimit: flags["sidecar-memory-limit"],
    },
    runAsUser: user < 0 ? null : user,
    runAsGroup: user < 0 ? null : user,
    logLevel: flags["sidecar-log-level"],
    logAsJson: flags["sidecar-log-as-json"],
  };
}
