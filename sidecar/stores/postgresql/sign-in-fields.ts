// The metadata fields of signing in without a password: AWS IAM for RDS and Aurora, Microsoft Entra ID for Azure's PostgreSQL
// (dapr-state-stores.md 0.6 and 3a). Knows no client library and asks nobody for a token.
import { type FieldTable, flag, pattern, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { checkCloud, checkEntra, type EntraSettings, entraFields } from "../azure/entra-fields.ts";
import type { NeededPackage } from "../packages.ts";

export interface AwsSettings {
  readonly awsRegion: string;
  readonly awsAccessKey: string;
  readonly awsSecretKey: string;
  readonly awsSessionToken: string;
  readonly assumeRoleArn: string;
  readonly assumeRoleSessionName: string;
  readonly trustAnchorArn: string;
  readonly trustProfileArn: string;
}

export interface SignInSettings extends AwsSettings, EntraSettings {
  readonly useAzureAD: boolean;
  readonly useAWSIAM: boolean;
}

const awsFields: FieldTable<AwsSettings> = {
  awsRegion: pattern<string>({
    fallback: "",
    shape: /^[a-z0-9-]{1,64}$/,
    want: 'a region of 1 to 64 lower-case ASCII letters, digits and hyphens, as in "eu-central-1"',
    aliases: ["region"],
    doc: "AWS IAM: region of the database; needed with `useAWSIAM`.",
  }),
  awsAccessKey: text({
    fallback: "",
    secret: true,
    aliases: ["accessKey"],
    doc: "AWS IAM: id of an access key, beside `awsSecretKey`; without both, the AWS SDK's own chain.",
  }),
  awsSecretKey: text({ fallback: "", secret: true, aliases: ["secretKey"], doc: "AWS IAM: the secret of that key." }),
  awsSessionToken: text({
    fallback: "",
    secret: true,
    aliases: ["sessionToken"],
    doc: "AWS IAM: token that belongs to temporary keys.",
  }),
  assumeRoleArn: text({ fallback: "", doc: "AWS IAM: ARN of a role to take on." }),
  assumeRoleSessionName: pattern<string>({
    fallback: "pannier",
    shape: /^[\w+=,.@-]{2,64}$/,
    want: "2 to 64 letters, digits and _+=,.@-",
    aliases: ["sessionName"],
    doc: "AWS IAM: name of the session in that role, as audit logs show it.",
  }),
  trustAnchorArn: text({
    fallback: "",
    doc: "Refused with `useAWSIAM`: it signs in by a certificate of Dapr's own (IAM Roles Anywhere), and there is none here.",
  }),
  trustProfileArn: text({ fallback: "", doc: "As `trustAnchorArn`." }),
};

export const signInFields: FieldTable<SignInSettings> = {
  useAzureAD: flag({ fallback: false, doc: "Sign in by a token of Microsoft Entra ID in place of a password." }),
  useAWSIAM: flag({ fallback: false, doc: "Sign in by a token of AWS IAM in place of a password." }),
  ...awsFields,
  ...entraFields,
};

/** What asking for a token needs (passwords.ts). */
export function signInPackages(settings: Readonly<SignInSettings>): readonly NeededPackage[] {
  const { useAzureAD, useAWSIAM, assumeRoleArn } = settings;
  if (useAWSIAM) {
    const signer: NeededPackage = { name: "@aws-sdk/rds-signer", field: "useAWSIAM" };
    return assumeRoleArn === ""
      ? [signer]
      : [signer, { name: "@aws-sdk/credential-providers", field: "assumeRoleArn" }];
  }
  return useAzureAD ? [{ name: "@azure/identity", field: "useAzureAD" }] : [];
}

const PAGE = "docs/stores/postgresql.md";

/** What is wrong between these fields. */
export function checkSignIn(settings: Readonly<SignInSettings>): readonly Fault[] {
  const { useAzureAD, useAWSIAM } = settings;
  if (useAzureAD && useAWSIAM) return [fault("useAWSIAM", "either useAzureAD or useAWSIAM")];
  return [
    ...(useAWSIAM ? checkAws(settings) : idle(settings, awsFields, "useAWSIAM")),
    ...(useAzureAD
      ? [...checkCloud(settings, PAGE), ...checkEntra(settings, PAGE)]
      : idle(settings, entraFields, "useAzureAD")),
  ];
}

function checkAws(settings: Readonly<AwsSettings>): readonly Fault[] {
  const { awsRegion, awsAccessKey, awsSecretKey, awsSessionToken } = settings;
  const faults: Fault[] = [];
  if (awsRegion === "") faults.push(fault("awsRegion", "the region of the database, which the token names"));
  if ((awsAccessKey === "") !== (awsSecretKey === ""))
    faults.push(fault("awsAccessKey", "awsAccessKey and awsSecretKey, or neither"));
  if (awsSessionToken !== "" && awsAccessKey === "")
    faults.push(fault("awsSessionToken", "awsAccessKey and awsSecretKey beside it"));
  for (const name of ["trustAnchorArn", "trustProfileArn"] as const)
    if (settings[name] !== "")
      faults.push(fault(name, "assumeRoleArn, keys or a role of the pod: Pannier has none of Dapr's certificates"));
  return faults;
}

/** A warning for each field that counts only beside a switch that is off. */
function idle<S extends object>(settings: Readonly<S>, fields: FieldTable<S>, name: string): readonly Fault[] {
  const given = Object.keys(fields).filter((each) => settings[each as keyof S] !== fields[each as keyof S].fallback);
  return given.map((field) => ({
    severity: "warning",
    field,
    got: null,
    want: `nothing: it is for ${name}, which is off`,
    hint: `see ${PAGE}`,
  }));
}

function fault(field: string, want: string): Fault {
  return { severity: "error", field, got: null, want, hint: `see ${PAGE}` };
}
