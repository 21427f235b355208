// The rows of docs/differences.md on what the API server says of resources.
import assert from "node:assert/strict";
import { type Bed, describeWithBed, sharedBed } from "#test/cluster/bed.ts";
import {
  installAdmissionPolicy,
  installCrds,
  installDaprCrds,
  manifest,
  type Plural,
  POLICY_FILE,
} from "#test/cluster/crds.ts";

const SETUP_WITHIN_MS = 180_000;
/** Until a new policy is in force, in milliseconds. */
const POLICY_WITHIN_MS = 60_000;

const WITHOUT_METADATA = { spec: { type: "state.in-memory", version: "v1" } };
const WITHOUT_BLOCK = { spec: { type: "redis", version: "v1", metadata: [] } };
const UNKNOWN_STORE = { spec: { type: "state.aerospike", version: "v1", metadata: [] } };
const OTEL = { protocol: "smoke", endpointAddress: "collector:4317", isSecure: false };
const UNKNOWN_PROTOCOL = { spec: { tracing: { samplingRate: "1", otel: OTEL } } };

describeWithBed("differences in what the API server says of resources", () => {
  let bed: Bed;
  let namespace: string;
  const create = async (plural: Plural, rest: object): Promise<string> => {
    const args = ["-n", namespace, "create", "--dry-run=server", "-f", "-"];
    const { status, stderr } = await bed.tryKubectl(args, manifest(plural, rest));
    return `${status === 0 ? "taken" : "refused"} ${stderr}`.trim();
  };

  before(async function () {
    this.timeout(SETUP_WITHIN_MS);
    bed = await sharedBed();
    namespace = await bed.namespace();
  });

  describe("with the resources of Dapr", () => {
    before(async function () {
      this.timeout(SETUP_WITHIN_MS);
      await installDaprCrds(bed);
    });

    it("refuses a Component without metadata, takes a type without a block and an unknown protocol, warns of nothing", async () => {
      assert.match(await create("components", WITHOUT_METADATA), /^refused .*metadata/s);
      assert.equal(await create("components", WITHOUT_BLOCK), "taken");
      assert.equal(await create("configurations", UNKNOWN_PROTOCOL), "taken");
      assert.equal(await create("components", UNKNOWN_STORE), "taken");
    });
  });

  describe("with Pannier's", () => {
    before(async function () {
      this.timeout(SETUP_WITHIN_MS);
      await installCrds(bed);
    });

    it("K3: a Component without metadata is taken", async () => {
      assert.equal(await create("components", WITHOUT_METADATA), "taken");
    });

    it("K4: a type without a building block and an unknown protocol are refused", async () => {
      assert.match(await create("components", WITHOUT_BLOCK), /^refused .*"redis" must be a building block/s);
      assert.match(await create("configurations", UNKNOWN_PROTOCOL), /^refused .*"smoke" must be grpc or http/s);
    });

    it("K5: what sidecars would refuse is a warning at once", async () => {
      await installAdmissionPolicy(bed);
      try {
        const end = Date.now() + POLICY_WITHIN_MS;
        let said = await create("components", UNKNOWN_STORE);
        while (said === "taken" && Date.now() < end) said = await create("components", UNKNOWN_STORE);
        assert.match(said, /^taken Warning: .*"state\.aerospike": Pannier has no such store/s);
      } finally {
        await bed.kubectl(["delete", "-f", POLICY_FILE]);
      }
    }).timeout(SETUP_WITHIN_MS);
  });
});
