// The rows of docs/differences.md on certificates and on the envelope of admission.
import assert from "node:assert/strict";
import { openAuthority, SETTLE_MS } from "#operator/certificates/authority.ts";
import { DAY_MS, splitPem } from "#operator/certificates/authority-state.ts";
import { CA_BUNDLE_CHECK_MS, CaBundle } from "#operator/certificates/ca-bundle.ts";
import { type Admit, readReview } from "#operator/webhook/review.ts";
import { startWebhook } from "#operator/webhook/server.ts";
import { handshake, post, serve } from "#test/unit/operator/certificates/handshake.ts";
import { JumpClock } from "#test/unit/operator/certificates/jump-clock.ts";
import { keepLog } from "#test/unit/operator/certificates/log-lines.ts";
import { MemoryClient } from "#test/unit/operator/certificates/memory-client.ts";
import { passLooks } from "#test/unit/operator/certificates/passing-looks.ts";

const SECRET = "/api/v1/namespaces/pannier/secrets/pannier-ca";
const WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pannier";
const admit: Admit = () => ({ kind: "allow", patch: null, reason: "not-enabled", warnings: [] });

describe("differences of certificates and admission", () => {
  const { log, lines } = keepLog();
  const open = (client: MemoryClient, clock: JumpClock): ReturnType<typeof openAuthority> =>
    openAuthority(
      {
        client,
        clock,
        namespace: "pannier",
        names: ["localhost"],
        mayRotate: () => true,
        isPublished: () => true,
        log,
      },
      new AbortController().signal,
    );

  it("K20: a CA is renewed at two thirds of its life, and who knows only the old one still connects", async () => {
    const clock = new JumpClock(Date.now() - 250 * DAY_MS);
    const authority = await open(new MemoryClient(), clock);
    const old = authority.trustAnchors;
    const { server, port } = await serve(authority);
    try {
      clock.jump(250 * DAY_MS);
      await authority.look();
      await passLooks(clock, 2 * SETTLE_MS, [authority]);
      const [signing = "", former] = splitPem(authority.trustAnchors) ?? [];
      assert.equal(former, old);
      for (const known of [old, signing]) assert.equal(await handshake(port, known), null);
    } finally {
      server.close();
      await authority.close();
    }
  });

  it("K21: a caBundle that somebody takes away comes back, and nothing else is written", async () => {
    const client = new MemoryClient();
    const clock = new JumpClock(0);
    const applied: unknown[] = [];
    client.fault = ({ method, body }) => {
      if (method === "PATCH") applied.push(body);
      return null;
    };
    const wipe = (): void => {
      const webhooks = ["a", "b"].map((name) => ({ name, failurePolicy: "Fail", clientConfig: {} }));
      client.put(WEBHOOK, { metadata: { name: "pannier" }, webhooks });
    };
    wipe();
    const source = { trustAnchors: "anchors", onChange: () => () => undefined };
    const bundle = new CaBundle({ client, name: "pannier", source, mayWrite: () => true, clock, log });
    try {
      await bundle.check();
      wipe();
      await clock.advance(CA_BUNDLE_CHECK_MS);
      assert.equal(bundle.isPublished("anchors"), true);
    } finally {
      await bundle.close();
    }
    const clientConfig = { caBundle: Buffer.from("anchors").toString("base64") };
    const only = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name: "pannier" },
      webhooks: ["a", "b"].map((name) => ({ name, clientConfig })),
    };
    assert.deepEqual(applied, [only, only]);
  });

  it("K22: a CA that cannot be read is not replaced, and the last one serves", async () => {
    const client = new MemoryClient();
    const authority = await open(client, new JumpClock(Date.now()));
    try {
      const { current } = authority;
      const garbage = { "ca.crt": "Z2FyYmFnZQ==" };
      client.put(SECRET, { metadata: { name: "pannier-ca" }, data: garbage });
      await authority.look();
      assert.equal(authority.current, current);
      assert.deepEqual(client.objects.get(SECRET)?.data, garbage);
      assert.ok(lines.some((line) => line.includes("ca.crt holds something that is no certificate in PEM")));
    } finally {
      await authority.close();
    }
  });

  it("K23: a review of v1beta1 is refused", () => {
    const review = { apiVersion: "admission.k8s.io/v1beta1", kind: "AdmissionReview", request: { uid: "u" } };
    assert.match(String(readReview(Buffer.from(JSON.stringify(review)))), /got "admission\.k8s\.io\/v1beta1", want/);
  });

  describe("of the webhook", () => {
    const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: { uid: "u", kind: {} } };
    const ask = async (body: string, contentType: string): Promise<number> => {
      const clock = new JumpClock(Date.now());
      const source = await open(new MemoryClient(), clock);
      const metrics = { admitted: () => undefined };
      const webhook = await startWebhook({
        source,
        admit,
        port: 0,
        host: "127.0.0.1",
        drainMs: 0,
        metrics,
        clock,
        log,
      });
      try {
        const place = { host: "127.0.0.1", port: webhook.port, path: "/mutate" };
        return await post({ ...place, ca: source.trustAnchors, servername: "localhost" }, { body, contentType });
      } finally {
        const drained = webhook.drain();
        await clock.advance(1);
        await Promise.all([drained, source.close()]);
      }
    };

    it("K24: a review that cannot be decoded is 400", async () => {
      assert.equal(await ask('{"kind":', "application/json"), 400);
    });

    it("K25: the content type may have parameters", async () => {
      assert.equal(await ask(JSON.stringify(review), "Application/JSON; charset=utf-8"), 200);
    });
  });
});
