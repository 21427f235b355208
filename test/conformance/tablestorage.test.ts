// The conformance suite over state.azure.tablestorage, on the emulator and on the service.
import { conformance } from "./suite.ts";
import { tableAzurite, tableService } from "./tablestorage.ts";

conformance(tableAzurite);
conformance(tableService);
