// What is said of calls that no answer ended, whatever the product.
import assert from "node:assert/strict";
import { isTlsFailure, lossError, unreachableError } from "#sidecar/stores/sql/failure.ts";

const PLACE = { server: "anysql at db:1", timeField: "patience" };

describe("an answer of a SQL server that does not come", () => {
  const endings = [
    ["closed", "closed", "unknown-outcome"],
    ["silent", "timeout", "timeout"],
    ["left", "timeout", "unknown-outcome"],
    ["broken", "unavailable", "unknown-outcome"],
  ] as const;
  it("is missed for as long as the field says that is named", () => {
    const { message } = lossError({ ending: "silent", lasting: false, ...PLACE });
    assert.equal(message, "no answer from anysql at db:1 within patience");
  });

  for (const [ending, read, written] of endings) {
    it(`because the connection is ${ending} leaves open only what takes effect by itself`, () => {
      const plain = lossError({ ending, lasting: false, ...PLACE });
      const lasting = lossError({ ending, lasting: true, ...PLACE });
      assert.deepEqual([plain.code, lasting.code], [read, written]);
      assert.doesNotMatch(plain.message, /may have happened/);
      assert.match(lasting.message, /the write may have happened$/);
      assert.equal(lasting.again, null);
    });
  }
});

describe("a SQL server that cannot be reached", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" });

  it("is named with what the system says, and with what to check", () => {
    const { code, message } = unreachableError(PLACE.server, refused, "check tls");
    assert.equal(code, "unavailable");
    assert.equal(message, "cannot connect to anysql at db:1: connect ECONNREFUSED 127.0.0.1:1; check tls");
    const plain = new Error("write EPROTO 1A:error:0A00010B:SSL routines:f:wrong version number:x.c:78:\n");
    assert.equal(
      unreachableError(PLACE.server, plain, "").message,
      "cannot connect to anysql at db:1: the server does not speak TLS",
    );
    assert.equal(unreachableError(PLACE.server, new Error(), "").message, "cannot connect to anysql at db:1");
    assert.equal(unreachableError(PLACE.server, null, "").message, "cannot connect to anysql at db:1");
  });

  it("fails by TLS only where the code of the error says so, or OpenSSL speaks", () => {
    const coded = (code: string): boolean => isTlsFailure(Object.assign(new Error("x"), { code }));
    const codes = ["CERT_HAS_EXPIRED", "ERR_SSL_WRONG_VERSION_NUMBER", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "EPROTO"];
    assert.deepEqual(codes.map(coded), [true, true, true, true]);
    assert.equal(isTlsFailure(new Error("1A:error:0A0000F4:SSL routines:f:unexpected message:x.c:78:")), true);
    assert.deepEqual(
      [isTlsFailure(refused), isTlsFailure(new Error("TLS")), isTlsFailure(null)],
      [false, false, false],
    );
  });
});
