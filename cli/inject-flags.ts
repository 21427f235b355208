// The flags of `pannier inject` and `pannier uninject`, and what the injector is told by them.
import { booleanFlag, type FlagTable, listFlag, textFlag, wordFlag } from "#kit/arguments.ts";
import { SIDECAR_FLAGS, type SidecarFlags } from "#operator/inject/flags.ts";

export interface UninjectFlags {
  filename: readonly string[];
  version: boolean;
  help: boolean;
}

export interface InjectFlags extends UninjectFlags, SidecarFlags {
  namespace: string;
  image: string;
  "image-pull-policy": "Always" | "IfNotPresent" | "Never";
  "control-plane-namespace": string;
  "control-plane-address": string;
  "trust-anchors": string;
  "native-sidecar": boolean;
}

export const UNINJECT_FLAGS: FlagTable<UninjectFlags> = {
  filename: listFlag({ placeholder: "FILE", short: "f", doc: "manifests to read, - for stdin; may be repeated" }),
  version: booleanFlag({ fallback: false, doc: "print the version" }),
  help: booleanFlag({ fallback: false, short: "h", doc: "print this help" }),
};

export const INJECT_FLAGS: FlagTable<InjectFlags> = {
  filename: UNINJECT_FLAGS.filename,
  namespace: textFlag({
    placeholder: "NAME",
    short: "n",
    fallback: "default",
    doc: "namespace of what does not name its own",
  }),
  image: textFlag({ placeholder: "IMAGE", fallback: "", shownDefault: "as this version", doc: "image of the sidecar" }),
  "image-pull-policy": wordFlag({
    placeholder: "POLICY",
    fallback: "IfNotPresent",
    words: ["Always", "IfNotPresent", "Never"],
    spellings: { always: "Always", ifnotpresent: "IfNotPresent", never: "Never" },
    doc: "when the image is pulled",
  }),
  "control-plane-namespace": textFlag({
    placeholder: "NAME",
    fallback: "pannier-system",
    doc: "namespace of the operator",
  }),
  "control-plane-address": textFlag({
    placeholder: "ADDRESS",
    fallback: "",
    shownDefault: "the Service of the operator",
    doc: "host:port of the operator",
  }),
  "trust-anchors": textFlag({
    placeholder: "FILE",
    fallback: "",
    doc: "PEM file of the CAs that the sidecar trusts, beside those of the cluster's ConfigMap",
  }),
  "native-sidecar": booleanFlag({
    fallback: true,
    doc: "inject a native sidecar, as Kubernetes 1.29 and later have it",
  }),
  ...SIDECAR_FLAGS,
  version: UNINJECT_FLAGS.version,
  help: UNINJECT_FLAGS.help,
};
