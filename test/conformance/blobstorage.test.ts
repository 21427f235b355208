// The conformance suite over state.azure.blobstorage, on the emulator and on the service.
import { blobAzurite, blobService } from "./blobstorage.ts";
import { conformance } from "./suite.ts";

conformance(blobAzurite);
conformance(blobService);
