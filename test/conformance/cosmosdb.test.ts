// The conformance suite over state.azure.cosmosdb.
import { azureOnePartition, azureOwnPartitions, emulator } from "./cosmosdb.ts";
import { conformance } from "./suite.ts";

conformance(emulator);
conformance(azureOwnPartitions);
conformance(azureOnePartition);
