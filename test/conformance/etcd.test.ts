// The conformance suite over state.etcd, both versions.
import { etcdV1, etcdV2 } from "./etcd.ts";
import { conformance } from "./suite.ts";

conformance(etcdV1);
conformance(etcdV2);
