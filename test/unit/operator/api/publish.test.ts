import assert from "node:assert/strict";
import { parseMessage } from "#crds/distribution.ts";
import { createLog } from "#kit/log.ts";
import { type Feed, mayHave, Publisher, WAITING_MAX } from "#operator/api/publish.ts";
import { ResourceTable } from "#operator/components/resource-table.ts";
import { entry } from "./bench.ts";

const SIDECAR = { namespace: "shop", podName: "cart-1", podUid: "u", appId: "cart", configuration: "" };

describe("publication of resources", () => {
  let table: ResourceTable;
  let lines: string[];
  let publisher: Publisher;
  let woken: number;
  let overflows: number;

  beforeEach(() => {
    table = new ResourceTable();
    lines = [];
    [woken, overflows] = [0, 0];
    const write = (line: string): void => void lines.push(line);
    const about = { level: "debug", json: true, appId: "", instance: "", version: "", nowMs: () => 0 } as const;
    publisher = new Publisher(table, createLog({ ...about, write }));
  });

  function open(): Feed {
    const onWaiting = (): void => void woken++;
    const onOverflow = (): void => void overflows++;
    return publisher.open({ sidecar: SIDECAR, onWaiting, onOverflow });
  }

  /** What is said next: "orders v2", "removed orders", "synced"; null for nothing. */
  function next(feed: Feed): string | null {
    const line = feed.next();
    if (line === null) return null;
    const message = parseMessage(line.toString().trimEnd());
    if (message?.type === "resource") return `${message.name} ${message.resource.version ?? ""}`.trimEnd();
    return message?.type === "removed" ? `removed ${message.name}` : String(message?.type);
  }

  function rest(feed: Feed): (string | null)[] {
    const told: (string | null)[] = [];
    for (let said = next(feed); said !== null; said = next(feed)) told.push(said);
    return told;
  }

  it("joins changes of one resource: the newest wins", () => {
    const feed = open();
    assert.deepEqual(rest(feed), ["synced"]);
    for (const version of ["v1", "v2", "v3"]) table.set(entry("orders", { resource: { version } }));
    table.set(entry("carts"));
    table.remove("Component", "shop", "carts");
    assert.equal(woken, 1);
    assert.deepEqual(rest(feed), ["orders v3", "removed carts"]);
  });

  it("tells what changes while the full set is on its way in its newest form, before the set is synced", () => {
    for (const name of ["a", "b", "c"]) table.set(entry(name, { resource: { version: "v1" } }));
    const feed = open();
    assert.equal(next(feed), "a v1");
    table.set(entry("b", { resource: { version: "v2" } }));
    table.remove("Component", "shop", "c");
    table.remove("Component", "shop", "a");
    assert.deepEqual(rest(feed), ["b v2", "synced", "removed a"]);
  });

  it("says nothing of what another namespace or app has", () => {
    const feed = open();
    rest(feed);
    table.set(entry("orders", { namespace: "bank" }));
    table.set(entry("orders", { scopes: ["till"] }));
    table.remove("Component", "shop", "orders");
    assert.deepEqual(rest(feed), []);
    assert.equal(woken, 0);
  });

  it("is for the sidecar's namespace and app id, and a Configuration for who names it", () => {
    const mine = { ...SIDECAR, configuration: "tracing" };
    assert.equal(mayHave(mine, entry("orders")), true);
    assert.equal(mayHave(mine, entry("orders", { scopes: ["till", "cart"] })), true);
    assert.equal(mayHave(mine, entry("orders", { scopes: ["till"] })), false);
    assert.equal(mayHave(mine, entry("orders", { namespace: "bank", scopes: ["cart"] })), false);
    assert.equal(mayHave(mine, entry("tracing", { kind: "Configuration" })), true);
    assert.equal(mayHave(SIDECAR, entry("tracing", { kind: "Configuration" })), false);
  });

  it("makes a line once for all streams", () => {
    table.set(entry("orders"));
    const [one, other] = [open(), open()];
    assert.equal(one.next(), other.next());
  });

  it("gives up a stream that is too far behind", () => {
    open();
    for (let i = 0; i < WAITING_MAX; i++) table.set(entry(`c${i}`));
    assert.equal(overflows, 0);
    table.set(entry("one more"));
    assert.equal(overflows, 1);
  });

  it("says nothing more to a stream that was closed", () => {
    const feed = open();
    publisher.close(feed);
    table.set(entry("orders"));
    assert.equal(woken, 0);
  });

  it("sends a Component whose secrets are too large without them, and says so", () => {
    const value = "c".repeat(5 * 1024 * 1024);
    table.set(entry("orders", { secrets: [{ name: "redis", key: "password", value }] }));
    const message = parseMessage(String(open().next()).trimEnd());
    assert.ok(message?.type === "resource");
    const [secret] = message.secrets;
    assert.ok(secret !== undefined && "problem" in secret);
    assert.match(secret.problem, /at most 4194304 can be sent/);
    assert.match(lines.join(""), /too large.*"sent without its secrets"/);
  });
});
