// The conformance suite over state.aws.dynamodb, with and without expiry, and over the service where a table is named.
import { dynamo, dynamoByAddress, dynamoWithoutTtl } from "./dynamodb.ts";
import { conformance } from "./suite.ts";

conformance(dynamo);
conformance(dynamoWithoutTtl);
conformance(dynamoByAddress);
