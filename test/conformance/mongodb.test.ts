// The conformance suite over state.mongodb, on a server alone and on a replica set.
import { mongodbAlone, mongodbReplicaSet } from "./mongodb.ts";
import { conformance } from "./suite.ts";

conformance(mongodbAlone);
conformance(mongodbReplicaSet);
