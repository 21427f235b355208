// The metadata fields of state.aws.dynamodb (dapr-state-stores.md 10a and 0.6) and what they mean together. Knows no
// client library.
import { type FieldTable, pattern, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { ETAG, VALUE } from "./layout.ts";

export interface DynamoSettings {
  readonly table: string;
  readonly region: string;
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  readonly assumeRoleArn: string;
  readonly assumeRoleSessionName: string;
  readonly trustAnchorArn: string;
  readonly trustProfileArn: string;
  readonly partitionKey: string;
  readonly ttlAttributeName: string;
}

/** DynamoDB's own rule for names of attributes, in bytes. */
const ATTRIBUTE_BYTES_MAX = 255;
const TABLE_NAME = /^[A-Za-z0-9_.:/-]{3,1024}$/;
const REGION = /^[A-Za-z0-9-]{0,63}$/;

export const fields: FieldTable<DynamoSettings> = {
  table: pattern<string>({
    fallback: "",
    required: true,
    shape: TABLE_NAME,
    want: "the name or the ARN of a table: 3 to 1024 ASCII letters, digits and _.:/-",
    doc: "Name of the table, which has to be there; or its ARN.",
  }),
  region: pattern<string>({
    fallback: "",
    shownDefault: "the AWS SDK's",
    shape: REGION,
    want: 'a region of at most 63 ASCII letters, digits and hyphens, as in "eu-central-1"',
    aliases: ["awsRegion"],
    doc: "Region of the table; without one, `AWS_REGION` in the sidecar's environment, or what else the AWS SDK finds.",
  }),
  endpoint: text({
    fallback: "",
    shownDefault: "the region's",
    doc: "Where the service is, as a URL: for DynamoDB Local and private endpoints.",
  }),
  accessKey: text({
    fallback: "",
    secret: true,
    doc: "Id of an access key, beside `secretKey`; without both, the AWS SDK's own chain.",
  }),
  secretKey: text({ fallback: "", secret: true, doc: "The secret of that access key." }),
  sessionToken: text({ fallback: "", secret: true, doc: "Token that belongs to temporary keys." }),
  assumeRoleArn: text({ fallback: "", doc: "ARN of a role to take on, by those keys or by what the AWS SDK finds." }),
  assumeRoleSessionName: pattern<string>({
    fallback: "pannier",
    shape: /^[\w+=,.@-]{2,64}$/,
    want: "2 to 64 letters, digits and _+=,.@-",
    doc: "Name of the session in that role, as audit logs show it.",
  }),
  trustAnchorArn: text({
    fallback: "",
    doc: "Refused: it signs in by a certificate of Dapr's own (IAM Roles Anywhere), and there is none here.",
  }),
  trustProfileArn: text({ fallback: "", doc: "As `trustAnchorArn`." }),
  partitionKey: text({ fallback: "key", doc: "Name of the table's hash key, a string; the table has no sort key." }),
  ttlAttributeName: text({
    fallback: "",
    doc: "Attribute with the time of expiry, on which the table's TTL is switched on. Without one the store has no TTL, and one that is asked for is refused.",
  }),
};

const HINT = "see docs/stores/aws.dynamodb.md";

/** What is wrong between fields, or shows only on a closer look. */
export function check(settings: Readonly<DynamoSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  const fault = (field: string, got: string | null, want: string): void => {
    faults.push({ severity: "error", field, got, want, hint: HINT });
  };
  const { endpoint, accessKey, secretKey, sessionToken, assumeRoleArn, assumeRoleSessionName } = settings;
  if (endpoint !== "" && !isEndpoint(endpoint))
    // A user and a password in it are a mistake that people make; they are not shown.
    fault("endpoint", endpoint.includes("@") ? null : endpoint, 'a URL as in "http://localhost:8000"');
  if ((accessKey === "") !== (secretKey === "")) fault("accessKey", null, "accessKey and secretKey, or neither");
  if (sessionToken !== "" && accessKey === "") fault("sessionToken", null, "accessKey and secretKey beside it");
  for (const name of ["trustAnchorArn", "trustProfileArn"] as const)
    if (settings[name] !== "")
      fault(name, settings[name], "assumeRoleArn, keys or a role of the pod: Pannier has none of Dapr's certificates");
  faults.push(...attributeFaults(settings));
  if (assumeRoleArn === "" && assumeRoleSessionName !== fields.assumeRoleSessionName.fallback) {
    const want = "nothing: there is no assumeRoleArn";
    faults.push({ severity: "warning", field: "assumeRoleSessionName", got: assumeRoleSessionName, want, hint: null });
  }
  return faults;
}

function attributeFaults({ partitionKey, ttlAttributeName }: Readonly<DynamoSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  const taken = new Set<string>([VALUE, ETAG]);
  for (const [field, name] of Object.entries({ partitionKey, ttlAttributeName })) {
    const bytes = Buffer.byteLength(name);
    const isName = bytes <= ATTRIBUTE_BYTES_MAX && (bytes > 0 || field === "ttlAttributeName");
    const want = isName ? "an attribute of its own" : `a name of 1 to ${ATTRIBUTE_BYTES_MAX} bytes`;
    if (!isName || taken.has(name)) faults.push({ severity: "error", field, got: name, want, hint: HINT });
    if (isName) taken.add(name);
  }
  return faults;
}

function isEndpoint(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}
