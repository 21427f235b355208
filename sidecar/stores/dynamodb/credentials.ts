// Whose requests they are: keys of the manifest, a role that is taken on, or what the AWS SDK finds around the process.
import type { DynamoDBClientConfig } from "@aws-sdk/client-dynamodb";
import { loading } from "../packages.ts";
import type { DynamoSettings } from "./fields.ts";

type Credentials = NonNullable<DynamoDBClientConfig["credentials"]>;

/** Null: the SDK's own chain (environment, profile, web identity, pod identity, instance). */
export async function credentialsOf(settings: Readonly<DynamoSettings>): Promise<Credentials | null> {
  const { accessKey, secretKey, sessionToken, assumeRoleArn, assumeRoleSessionName, region } = settings;
  const keys =
    accessKey === ""
      ? null
      : {
          accessKeyId: accessKey,
          secretAccessKey: secretKey,
          ...(sessionToken === "" ? {} : { sessionToken }),
        };
  if (assumeRoleArn === "") return keys;
  // Loaded only for a role: it costs memory that keys do not need.
  const { fromTemporaryCredentials } = await loading(() => import("@aws-sdk/credential-providers"));
  return fromTemporaryCredentials({
    params: { RoleArn: assumeRoleArn, RoleSessionName: assumeRoleSessionName },
    ...(keys === null ? {} : { masterCredentials: keys }),
    ...(region === "" ? {} : { clientConfig: { region } }),
  });
}
