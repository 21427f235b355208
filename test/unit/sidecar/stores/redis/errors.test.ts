// What servers say and what callers get to read.
import assert from "node:assert/strict";
import { connectError, lossError, replyError, unsentError } from "#sidecar/stores/redis/errors.ts";
import type { StoreErrorCode } from "#sidecar/stores/store.ts";

const SERVER = "redis.example:6379";

describe("an error answer of Redis", () => {
  const table: [text: string, code: StoreErrorCode, repeatable: boolean, message: RegExp][] = [
    ["NOAUTH Authentication required.", "unavailable", false, /wants a password; check redisUsername/],
    ["WRONGPASS invalid username-password pair or user is disabled.", "unavailable", false, /refused the user/],
    ["ERR invalid password", "unavailable", false, /refused the password/],
    [
      "NOPERM this user has no permissions to run the 'evalsha' command",
      "unavailable",
      false,
      /run the command 'evalsha'; see the rights in docs\/stores\/redis.md/,
    ],
    [
      "NOPERM this user has no permissions to run the 'info' command or its subcommand",
      "unavailable",
      false,
      /run the command 'info';/,
    ],
    [
      "NOPERM User app has no permissions to run the 'client|setname' command",
      "unavailable",
      false,
      /'client\|setname'/,
    ],
    ["NOPERM No permissions to access a key", "unavailable", false, /run a command or use a key/],
    [
      "ERR ACL failure in script: User app has no permissions to run the 'expire' command script: 1f, on @user_script:9.",
      "unknown-outcome",
      false,
      /ACL user run the command 'expire'/,
    ],
    [
      "ERR The user executing the script can't run this command or subcommand script: 1f, on @user_script:9.",
      "unknown-outcome",
      false,
      /ACL user/,
    ],
    ["READONLY You can't write against a read only replica.", "unavailable", true, /must name the master/],
    [
      "ERR Error running script (call to f_0a): @user_script:9: @user_script: 9: -READONLY You can't write against a read only replica.",
      "unavailable",
      true,
      /must name the master/,
    ],
    ["OOM command not allowed when used memory > 'maxmemory'.", "unavailable", false, /raise maxmemory/],
    ["MISCONF Redis is configured to save RDB snapshots, but", "unavailable", false, /cannot save to its disk/],
    ["NOREPLICAS Not enough good replicas to write.", "unavailable", false, /min-replicas-to-write/],
    ["LOADING Redis is loading the dataset in memory", "unavailable", true, /still loading/],
    ["MASTERDOWN Link with MASTER is down", "unavailable", false, /without its master/],
    ["BUSY Redis is busy running a script.", "unavailable", false, /SCRIPT KILL/],
    ["CLUSTERDOWN The cluster is down", "unavailable", false, /cluster/],
    ["MOVED 3999 127.0.0.1:6381", "unavailable", false, /redisType must be "cluster"/],
    ["ERR This instance has cluster support disabled", "unavailable", false, /redisType must be "node"/],
    ["TRYAGAIN Multiple keys request during rehashing of slot", "unavailable", true, /try again/],
    ["ERR max number of clients reached", "unavailable", true, /raise maxclients/],
    ["ERR DB index is out of range", "unavailable", false, /check redisDB/],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", "corrupt", false, /another type/],
    ["ERR something new", "failed", false, /answered: ERR something new$/],
  ];
  for (const [text, code, repeatable, message] of table) {
    it(`maps ${text.slice(0, 40)} to ${code}`, () => {
      const error = replyError(text, SERVER);
      assert.equal(error.code, code);
      assert.equal(error.repeatable, repeatable);
      assert.match(error.message, message);
      assert.match(error.message, /redis\.example:6379/);
    });
  }

  it("says where to a node of a cluster sends a command", () => {
    const moved = { slot: 3999, address: "127.0.0.1:6381", asking: false };
    assert.deepEqual(replyError("MOVED 3999 127.0.0.1:6381", SERVER).redirect, moved);
    assert.deepEqual(replyError("ASK 3999 :6381", SERVER).redirect, { slot: 3999, address: ":6381", asking: true });
    assert.equal(replyError("TRYAGAIN Multiple keys", SERVER).redirect, null);
  });

  it("leaves out the arguments that the server quotes", () => {
    for (const text of [
      "NOPERM User secret-value has no permissions to access the 'secret-value' key",
      "NOPERM User secret-value has no permissions to run the 'get' command",
      "NOPERM User app has no permissions to run the 'a secret-value' command",
      "ERR unknown command `evalsha`, with args beginning with: `secret-value`",
      "ERR unknown command 'evalsha', with args beginning with: 'secret-value'",
    ]) {
      assert.doesNotMatch(replyError(text, SERVER).message, /secret-value/);
    }
  });
});

describe("a lost connection", () => {
  const cause = new Error("read ECONNRESET");
  const lost = { server: SERVER, timeoutMs: 3000, cause };

  it("leaves the outcome of a write unknown", () => {
    const error = lossError({ ...lost, ending: "broken", effect: "write" });
    assert.equal(error.code, "unknown-outcome");
    assert.equal(error.repeatable, false);
    assert.match(error.message, /ECONNRESET; the write may have happened/);
  });

  it("lets a read be repeated", () => {
    const error = lossError({ ...lost, ending: "broken", effect: "read" });
    assert.equal(error.code, "unavailable");
    assert.equal(error.repeatable, true);
    assert.doesNotMatch(error.message, /may have happened/);
  });

  it("is a timeout when the server fell silent, with the limit in the text", () => {
    const error = lossError({ ...lost, ending: "silent", effect: "write" });
    assert.equal(error.code, "timeout");
    assert.equal(error.repeatable, false);
    assert.match(error.message, /within 3000 ms; the write may have happened/);
  });

  it("is `closed` when the store closed it", () => {
    assert.equal(lossError({ ...lost, ending: "closed", effect: "read" }).code, "closed");
    assert.equal(unsentError("closed", SERVER).code, "closed");
  });

  it("leaves the outcome of a write unknown when the store is closed meanwhile", () => {
    const error = lossError({ ...lost, ending: "closed", effect: "write" });
    assert.equal(error.code, "unknown-outcome");
    assert.match(error.message, /the store was closed; the write may have happened/);
  });

  it("lets a command that never left be repeated, whatever it was", () => {
    assert.equal(unsentError("broken", SERVER).code, "unavailable");
    assert.equal(unsentError("broken", SERVER).repeatable, true);
  });

  it("speaks of certificates when TLS failed", () => {
    const tls = Object.assign(new Error("self-signed certificate"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    assert.match(
      connectError(SERVER, tls).message,
      /: the server's certificate is self-signed; check the certificates/,
    );
  });
});
