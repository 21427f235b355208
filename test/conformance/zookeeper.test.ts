// The conformance suite over state.zookeeper.
import { conformance } from "./suite.ts";
import { zooKeeper } from "./zookeeper.ts";

conformance(zooKeeper);
