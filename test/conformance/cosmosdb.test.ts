// The conformance suite over state.azure.cosmosdb.
import { azureOnePartition, azureOwnPartitions, cosmosEmulator } from "./cosmosdb.ts";
import { conformance } from "./suite.ts";

conformance(cosmosEmulator);
conformance(azureOwnPartitions);
conformance(azureOnePartition);
