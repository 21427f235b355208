// What a connection signs in with: the password of the settings, or a token that is asked for anew for each connection. Tokens
// end after minutes, connections after hours. Alone knows the AWS libraries, and loads them only for useAWSIAM.
import type { Signer } from "@aws-sdk/rds-signer";
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import { cloudOf } from "../azure/clouds.ts";
import { entraTokens } from "../azure/entra-tokens.ts";
import { loading } from "../packages.ts";
import { closedError, SqlError } from "../sql/failure.ts";
import { StoreError } from "../store.ts";
import { passwordFromFile } from "./password-file.ts";
import type { Endpoint, ServerPlan } from "./server-plan.ts";
import type { AwsSettings, SignInSettings } from "./sign-in-fields.ts";

export interface Passwords {
  /** For a new connection to this server. Rejects with a SqlError, whose text holds no secret, also when `signal` aborts. */
  next(endpoint: Endpoint, signal: AbortSignal): Promise<string>;
  /** The server has refused it: what comes next is another one, if there can be one. */
  refused(password: string): void;
}

/** Longest that a token is waited for. */
const TOKEN_MS = 20_000;

/** Dapr's table of audiences, by where Entra ID signs in. */
const ENTRA_SCOPES: Readonly<Record<string, string>> = {
  "https://login.microsoftonline.com": "https://ossrdbms-aad.database.windows.net/.default",
  "https://login.chinacloudapi.cn": "https://ossrdbms-aad.database.chinacloudapi.cn/.default",
  "https://login.microsoftonline.us": "https://ossrdbms-aad.database.usgovcloudapi.net/.default",
};

/** Ready to give passwords; nobody is asked yet. Rejects where a package is not installed. */
export async function openPasswords(
  settings: Readonly<SignInSettings>,
  plan: ServerPlan,
  clock: Clock,
): Promise<Passwords> {
  if (settings.useAWSIAM) return limited(await rdsPasswords(settings, plan.user), clock);
  if (!settings.useAzureAD) return { next: (endpoint) => plainPassword(plan, endpoint), refused: () => undefined };
  const cloud = cloudOf(settings.azureEnvironment);
  const scope = ENTRA_SCOPES[cloud?.authorityHost ?? ""];
  assert(cloud !== null && scope !== undefined, "the cloud was checked with the fields");
  const tokens = await entraTokens(settings, { scope, cloud, clock });
  return limited({ next: () => tokens.current(), refused: (token) => tokens.forget(token) }, clock);
}

async function plainPassword(plan: ServerPlan, endpoint: Endpoint): Promise<string> {
  return plan.password === "" && plan.passwordFile !== "" ? passwordFromFile(plan, endpoint) : plan.password;
}

/** Signed with the keys by the library itself: a token is good for 15 minutes, and for one server and user. */
async function rdsPasswords(settings: Readonly<AwsSettings>, username: string): Promise<Source> {
  const library = await loading(() => import("@aws-sdk/rds-signer"));
  const credentials = await credentialsOf(settings);
  const region = settings.awsRegion;
  const signers = new Map<Endpoint, Signer>();
  const signerOf = (endpoint: Endpoint): Signer => {
    const { host: hostname, port } = endpoint;
    const known = signers.get(endpoint);
    const signer =
      known ??
      new library.Signer({ hostname, port, username, region, ...(credentials === null ? {} : { credentials }) });
    signers.set(endpoint, signer);
    return signer;
  };
  return { next: (endpoint) => signerOf(endpoint).getAuthToken(), refused: () => undefined };
}

type Credentials = NonNullable<ConstructorParameters<typeof Signer>[0]["credentials"]>;

/** Null: the SDK's own chain (environment, profile, web identity, pod identity, instance). */
async function credentialsOf(settings: Readonly<AwsSettings>): Promise<Credentials | null> {
  const { awsAccessKey, awsSecretKey, awsSessionToken, assumeRoleArn, assumeRoleSessionName, awsRegion } = settings;
  const session = awsSessionToken === "" ? {} : { sessionToken: awsSessionToken };
  const keys = awsAccessKey === "" ? null : { accessKeyId: awsAccessKey, secretAccessKey: awsSecretKey, ...session };
  if (assumeRoleArn === "") return keys;
  const { fromTemporaryCredentials } = await loading(() => import("@aws-sdk/credential-providers"));
  return fromTemporaryCredentials({
    params: { RoleArn: assumeRoleArn, RoleSessionName: assumeRoleSessionName },
    ...(keys === null ? {} : { masterCredentials: keys }),
    clientConfig: { region: awsRegion },
  });
}

type Source = Pick<Passwords, "refused"> & { readonly next: (endpoint: Endpoint) => Promise<string> };

/** The same within its time, and with errors that hold no secret. */
function limited(source: Source, clock: Clock): Passwords {
  return {
    refused: (password) => source.refused(password),
    next: (endpoint, signal) =>
      new Promise((resolve, reject) => {
        const settle = (): void => {
          timer.cancel();
          signal.removeEventListener("abort", leave);
        };
        // Settles too, for the library may never answer.
        const fail = (error: SqlError): void => {
          settle();
          reject(error);
        };
        const leave = (): void => fail(closedError());
        const timer = clock.after(TOKEN_MS, () => fail(tokenError(`none within ${TOKEN_MS / 1000} s`)));
        signal.addEventListener("abort", leave, { once: true });
        source.next(endpoint).then(
          (password) => {
            settle();
            resolve(password);
          },
          (error: unknown) => fail(explain(error)),
        );
      }),
  };
}

/** Of a library's error only its name is told: its text may hold what was sent. */
function explain(error: unknown): SqlError {
  if (error instanceof StoreError) return new SqlError("unavailable", error.message);
  return tokenError(error instanceof Error ? error.name : "unknown");
}

function tokenError(why: string): SqlError {
  const where = '"Signing in without a password" in docs/stores/postgresql.md';
  return new SqlError("unavailable", `there is no token to sign in with (${why}); see ${where}`);
}
