// Another process holds the lock of the SQLite file: the sidecar goes on answering all that needs no lock.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lockElsewhere } from "#test/stores/sqlite/lock.ts";
import { ask, errorOf, STORE, save } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";

describe("a SQLite file that another process has locked", () => {
  it("holds up writes alone: health, metadata and reads answer, and the write goes through when it is free", async () => {
    const wire = await startWire({ manifests: {} });
    const file = join(wire.folder, "state.db");
    try {
      await writeFile(
        join(wire.folder, "a.yaml"),
        component("statestore", "state.sqlite", { connectionString: file, busyTimeout: "60s" }),
      );
      await wire.sidecar.reload();
      await save(wire, "before", "1");
      const lock = await lockElsewhere(file);
      let answered = false;
      const writing = ask(wire, "POST", STORE, [{ key: "during", value: 2 }]).finally(() => {
        answered = true;
      });
      for (let i = 0; i < 50; i++) {
        assert.equal((await ask(wire, "GET", "/v1.0/healthz")).status, 204);
        assert.equal((await ask(wire, "GET", "/v1.0/metadata")).status, 200);
        assert.equal((await ask(wire, "GET", `${STORE}/before`)).text, "1");
      }
      assert.equal(answered, false, "the write waits for the lock");
      await lock.release();
      assert.equal((await writing).status, 204);
      assert.equal((await ask(wire, "GET", `${STORE}/during`)).text, "2");
    } finally {
      await wire.stop();
    }
  });

  it("fails a write with 500 that names the file when it stays locked longer than busyTimeout", async () => {
    const wire = await startWire({ manifests: {} });
    const file = join(wire.folder, "state.db");
    try {
      await writeFile(
        join(wire.folder, "a.yaml"),
        component("statestore", "state.sqlite", { connectionString: file, busyTimeout: "200ms" }),
      );
      await wire.sidecar.reload();
      const lock = await lockElsewhere(file);
      const answer = await ask(wire, "POST", STORE, [{ key: "k", value: 1 }]);
      assert.equal(answer.status, 500);
      assert.match(errorOf(answer).message, /state\.db.*lock/s);
      await lock.release();
      await save(wire, "k", "2");
    } finally {
      await wire.stop();
    }
  });
});
