// The volumes that injection adds: who the sidecar is and whom it trusts, and the folders of unix sockets, its own and those
// of pluggable components.
import { posix } from "node:path";
import {
  IDENTITY_FOLDER,
  TOKEN_AUDIENCE,
  TOKEN_FILE,
  TRUST_ANCHORS_FILE,
  TRUST_BUNDLE_NAME,
} from "#crds/distribution.ts";
import type { Volume } from "./object.ts";

/** Dapr's names (dapr-kubernetes.md 2.4). */
export const IDENTITY_VOLUME = "dapr-identity-token";
export const SOCKET_VOLUME = "dapr-unix-domain-socket";
/** Where the sidecar sees its sockets. */
export const SOCKET_FOLDER = "/var/run/dapr-sockets";
export const COMPONENTS_VOLUME = "dapr-components-unix-domain-socket";
/** Tells a component where its socket belongs. Dapr's sidecar reads the other one, and Dapr's injector does not set it. */
export const COMPONENT_VARIABLE = "DAPR_COMPONENT_SOCKETS_FOLDER";
/** Those of the sidecar. */
export const COMPONENTS_VARIABLES: readonly string[] = [COMPONENT_VARIABLE, "DAPR_COMPONENTS_SOCKETS_FOLDER"];
/** Where nothing else can be mounted into the sidecar. */
export const SIDECAR_PLACES: readonly string[] = ["/", SOCKET_FOLDER, IDENTITY_FOLDER];

/** The place that the path of a mount means, however it is written; one that is not absolute begins at the root. */
export function mountPlace(path: string): string {
  return posix.resolve("/", path);
}

/** The kubelet renews a token when four fifths of this are over. */
const TOKEN_TTL_SEC = 7200;
/** 0644: sidecar and app may be different users. */
const FILE_MODE = 0o644;

/** The ConfigMap may be missing: the sidecar then goes by the anchors of its environment. */
export function identityVolume(): Volume {
  const serviceAccountToken = { audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_TTL_SEC, path: TOKEN_FILE };
  const items = [{ key: TRUST_ANCHORS_FILE, path: TRUST_ANCHORS_FILE }];
  const sources = [{ serviceAccountToken }, { configMap: { name: TRUST_BUNDLE_NAME, items, optional: true } }];
  return { name: IDENTITY_VOLUME, projected: { defaultMode: FILE_MODE, sources } };
}

export function socketVolume(): Volume {
  return { name: SOCKET_VOLUME, emptyDir: { medium: "Memory" } };
}

export function componentsVolume(): Volume {
  return { name: COMPONENTS_VOLUME, emptyDir: {} };
}
