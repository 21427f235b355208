// Everything the sidecar process can be told, decoded. Flags and environment are read in flags.ts and nowhere else.
import type { LogLevel } from "#kit/log.ts";

export interface SidecarSettings {
  readonly appId: string;
  /** The NAMESPACE variable; "" when unset. */
  readonly namespace: string;
  /** The POD_NAME variable; null when unset. Only for the template `{podName}`. */
  readonly podName: string | null;
  /** Null when there is no app. */
  readonly appPort: number | null;
  readonly appProtocol: string;
  readonly appChannelAddress: string;
  /** -1 for no limit; told in metadata only. */
  readonly appMaxConcurrency: number;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Health and metadata without a token; null when off. */
  readonly publicPort: number | null;
  /** The APIs are served on sockets in this folder, and then on no port; null for ports. */
  readonly unixSocketFolder: string | null;
  /** HTTP/2 without TLS on the HTTP port, besides HTTP/1.1. */
  readonly http2: boolean;
  /** Empty: all interfaces. */
  readonly listenAddresses: readonly string[];
  readonly publicListenAddresses: readonly string[];
  readonly metricsEnabled: boolean;
  readonly metricsPort: number;
  readonly metricsListenAddress: string;
  /** Where pluggable components have their sockets; the folder need not be there. */
  readonly componentsSocketsFolder: string;
  readonly resourcesPaths: readonly string[];
  /** Files of the Configuration; later ones override earlier ones. */
  readonly configPaths: readonly string[];
  /** Largest request body in bytes; 0 for no limit. */
  readonly bodyBytesMax: number;
  /** Largest request head in bytes, as the flag says; the server allows 4 KiB more, as Dapr's does. */
  readonly headerBytesMax: number;
  /** Empty: CORS off. `["*"]`: all. */
  readonly allowedOrigins: readonly string[];
  /** The DAPR_API_TOKEN variable; null when unset or empty. */
  readonly apiToken: string | null;
  /** Null: as the Configuration says, and off when it says nothing. */
  readonly apiLogging: boolean | null;
  readonly logLevel: LogLevel;
  readonly logJson: boolean;
  /** How long requests in flight may take to end at shutdown. */
  readonly drainMs: number;
  /** How long to go on serving after the signal before draining. */
  readonly blockShutdownMs: number;
  /** How often the resource folders are read again even when nothing told of a change. */
  readonly reconcileMs: number;
  /** Whom Components, secrets and the Configuration come from in a cluster; null: they come from files. */
  readonly operator: OperatorSettings | null;
}

export interface OperatorSettings {
  /** A name or an address; the operator's certificate is for it. */
  readonly host: string;
  readonly port: number;
  /** The folder with the pod's token and, where they could be mounted, the trust anchors. */
  readonly identityFolder: string;
  /** The DAPR_TRUST_ANCHORS variable: PEM; "" when unset. */
  readonly trustAnchors: string;
  /** Name of the Configuration; null for the defaults. */
  readonly configuration: string | null;
}
