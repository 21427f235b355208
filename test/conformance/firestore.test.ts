// The conformance suite over state.gcp.firestore.
import { firestoreEmulator, firestoreService } from "./firestore.ts";
import { conformance } from "./suite.ts";

conformance(firestoreEmulator);
conformance(firestoreService);
