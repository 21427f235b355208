// Blobs as Dapr's v2 lays them out, written and read by Microsoft's own client, against what the driver writes and reads.
import assert from "node:assert/strict";
import type { ContainerClient } from "@azure/storage-blob";
import { describeWithAzurite } from "#test/servers/azurite.ts";
import { call, keysIn, onOneAzurite, read, removal, textOf, write } from "../azure/fixture.ts";

describeWithAzurite("the layout of state.azure.blobstorage", () => {
  const bench = onOneAzurite();
  const container = (name = "state"): ContainerClient => bench.azurite().container(name);

  async function names(name = "state"): Promise<readonly string[]> {
    const found: string[] = [];
    for await (const blob of container(name).listBlobsFlat()) found.push(blob.name);
    return found.sort();
  }

  it("is a block blob under the whole key, with the value's bytes", async () => {
    const store = await bench.open("blobs", { containerName: "plain" });
    await store.set(write("app||order-1", '{"b":1, "a":[]}'), call);
    await store.set(write("app||cat||leroy||food", "milk"), call);
    assert.deepEqual(await names("plain"), ["app||cat||leroy||food", "app||order-1"]);
    const blob = container("plain").getBlobClient("app||order-1");
    assert.equal(String(await blob.downloadToBuffer()), '{"b":1, "a":[]}');
    const { blobType, contentType, metadata, etag } = await blob.getProperties();
    assert.deepEqual([blobType, contentType, metadata], ["BlockBlob", "application/octet-stream", {}]);
    assert.equal((await store.get("app||order-1", read, call))?.etag, etag);
  });

  it("has what Dapr wrote, which can be read, updated with its ETag, listed and deleted", async () => {
    const store = await bench.open("blobs", { containerName: "dapr" });
    const blob = container("dapr").getBlockBlobClient("app||from-dapr");
    const { etag = null } = await blob.upload('"theirs"', 8, { metadata: { partitionKey: "p" } });
    const found = await store.get("app||from-dapr", read, call);
    assert.deepEqual([String(found?.bytes), found?.etag], ['"theirs"', etag]);
    await store.set(write("app||from-dapr", '"ours"', { etag }), call);
    assert.equal(String(await blob.downloadToBuffer()), '"ours"');
    assert.deepEqual(await keysIn(store, "app||", "app||"), ["app||from-dapr"]);
    await store.remove(removal("app||from-dapr"), call);
    assert.equal(await blob.exists(), false);
  });

  it("keeps a request's metadata with the blob, and some of it as the blob's properties", async () => {
    const store = await bench.open("blobs", { containerName: "metadata" });
    const metadata = {
      ContentType: "application/json",
      cacheControl: "no-cache",
      contentMD5: "ICy5YqxZB1uWSwcVLSNLcA==",
      partitionKey: "p-1",
      part: "1",
      part2: "2",
      "with-hyphen": " 5 € ",
      "1st": "no name of the service's",
    };
    await store.set(write("app||k", "123", { metadata }), call);
    const found = await container("metadata").getBlobClient("app||k").getProperties();
    assert.deepEqual([found.contentType, found.cacheControl], ["application/json", "no-cache"]);
    // The second client gives names in lower case, whatever was sent.
    assert.deepEqual(found.metadata, { partitionkey: "p-1", part: "1", part2: "2", withhyphen: "5" });
    await assert.rejects(store.set(write("app||k", "1", { metadata: { contentMD5: "x" } }), call), { code: "refused" });
  });

  it("spells what the service takes for something else", async () => {
    const store = await bench.open("blobs", { containerName: "spelled" });
    for (const key of ["app||a\\b", "app||../c", "app||d.", "app||e.txt"]) await store.set(write(key, "1"), call);
    assert.deepEqual(await names("spelled"), ["app||.﹪2E/c", "app||a﹪5Cb", "app||d﹪2E", "app||e.txt"].sort());
    assert.deepEqual(await keysIn(store, "app||", "app||d."), ["app||d."]);
    assert.deepEqual(await keysIn(store, "app||", "app||a\\"), ["app||a\\b"]);
  });

  it("lists what the layout has, and nothing that no key names", async () => {
    const store = await bench.open("blobs", { containerName: "foreign" });
    for (const name of ["app||a﹪b", "app||a﹪41", "app||ok"]) await container("foreign").uploadBlockBlob(name, "1", 1);
    assert.deepEqual(await keysIn(store, "app||", "app||"), ["app||ok"]);
  });

  it("takes no key, beginning or position that is half a surrogate pair", async () => {
    const store = await bench.open("blobs");
    const refused = { code: "refused", name: "StoreError" };
    await assert.rejects(store.get("app||\ud800", read, call), refused);
    await assert.rejects(store.set(write("app||\ud800", "1", { firstWrite: true }), call), refused);
    await assert.rejects(store.remove(removal("app||\ud800"), call), refused);
    await assert.rejects(keysIn(store, "app||", "app||\ud800"), refused);
    const range = { scope: "app||", start: "app||" };
    for (const after of [Buffer.from('["\\ud800","",0]').toString("base64url")])
      await assert.rejects(async () => store.list?.({ range, after, limit: 1, values: false }, call), refused);
  });

  it("has Dapr's blobs under keys of few characters and many bytes, which its limit lets through", async () => {
    const store = await bench.open("blobs", { containerName: "long" });
    const name = "app||".padEnd(1024, "é");
    await container("long").getBlockBlobClient(name).upload('"theirs"', 8);
    assert.ok(Buffer.byteLength(name) <= (store.limits.keyBytesMax ?? 0));
    assert.equal(await textOf(store, name), '"theirs"');
    await store.set(write(name, '"ours"'), call);
    assert.equal(String(await container("long").getBlobClient(name).downloadToBuffer()), '"ours"');
  });

  it("takes no key that is empty or longer than a name", async () => {
    const store = await bench.open("blobs");
    for (const key of ["", "k".repeat(1025), "\n".repeat(400)])
      await assert.rejects(store.set(write(key, "1"), call), { code: "refused", message: /want 1 to 1024/ });
  });

  it("opens by a signature that may read and write, and makes no container then", async () => {
    await container("signed").createIfNotExists();
    const { BlobSASPermissions, generateBlobSASQueryParameters, StorageSharedKeyCredential } = await import(
      "@azure/storage-blob"
    );
    const { account, key, blobEndpoint } = bench.azurite();
    const sas = generateBlobSASQueryParameters(
      {
        containerName: "signed",
        permissions: BlobSASPermissions.parse("rcwd"),
        expiresOn: new Date(Date.now() + 60_000),
      },
      new StorageSharedKeyCredential(account, key),
    );
    const connectionString = `BlobEndpoint=${blobEndpoint}/${account};SharedAccessSignature=${sas}`;
    const store = await bench.open("blobs", { containerName: "signed", connectionString });
    await store.set(write("app||k", "1"), call);
    assert.equal(await textOf(store, "app||k"), "1");
  });
});
