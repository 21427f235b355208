import { emulator } from "#test/conformance/cosmosdb.ts";
import { interchange } from "./interchange.ts";

interchange({ subject: emulator, dapr: "azure.cosmosdb" });
