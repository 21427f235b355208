// What both stores on Google's services do when their service or the way to it fails, as tests of the describe that asks
// for them.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { eventually } from "#test/stores/eventually.ts";
import type { Fields } from "#test/stores/opening.ts";
import { call, read, textOf, write } from "#test/stores/requests.ts";
import { itSaysWhereNobodyListens, type ThroughProxy } from "#test/stores/trouble.ts";

export interface GoogleSubject {
  /** "datastore", as errors name it. */
  readonly product: string;
  readonly server: () => { readonly metadata: Fields; readonly address: string };
  readonly prepare: (given: Fields) => PreparedStore;
  readonly openStore: (given: Fields) => Promise<Store>;
  /** Of a store whose calls have a second. */
  readonly throughProxy: () => Promise<ThroughProxy>;
}

/** Resolves once the store has found its server again. */
export async function untilWritten(store: Store, key: string): Promise<void> {
  await eventually(() => store.set(write(key, "1"), call));
}

export function itDoesAsGooglesDo({ product, server, prepare, openStore, throughProxy }: GoogleSubject): void {
  const account = (private_key: string): Fields => ({
    private_key_id: "k1",
    private_key,
    client_email: "app@test.iam.gserviceaccount.com",
  });

  itSaysWhereNobodyListens(
    (port) => openStore({ ...server().metadata, endpoint: `127.0.0.1:${port}` }),
    (port) => `cannot connect to ${product} at 127.0.0.1:${port}: ECONNREFUSED`,
  );

  it("signs in at the service only over TLS, and says what is wrong with an emulator there", async () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const given = { ...server().metadata, ...account(pem), endpoint: `https://${server().address}` };
    assert.deepEqual(prepare(given).faults, []);
    await assert.rejects(openStore(given), {
      code: "unavailable",
      message: /check endpoint: it is without https:\/\//,
    });
  });

  it("says that a key which is none cannot be read, and shows nothing of it", async () => {
    const pem = "-----BEGIN PRIVATE KEY-----\\nc2VjcmV0\\n-----END PRIVATE KEY-----";
    const opened = openStore({ ...server().metadata, ...account(pem), endpoint: `https://${server().address}` });
    await assert.rejects(opened, (error: Error) => {
      assert.match(error.message, /^cannot sign in at Google: private_key is no key that can be read$/);
      assert.doesNotMatch(error.message, /c2VjcmV0/);
      return true;
    });
  });

  it("ends a write in time when nothing answers, says that it may have happened, and finds back", async () => {
    const { proxy, store } = await throughProxy();
    proxy.mode = "black-hole";
    await assert.rejects(store.set(write("hole", "1"), call), {
      code: "timeout",
      message: `no answer from ${product} at 127.0.0.1:${proxy.port} in time; the write may have happened`,
    });
    // Not over the connection in which nothing comes back: that one was given up.
    const before = proxy.accepted;
    await assert.rejects(store.get("hole", read, call), { code: "timeout", message: /in time$/ });
    assert.ok(proxy.accepted > before, "the silent connection is still in use");
    proxy.mode = "pass";
    await untilWritten(store, "hole");
    assert.equal(await textOf(store, "hole"), "1");
  });
}
