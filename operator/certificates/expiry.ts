// Says how long the certificates are still good: by metric always, by Event and log when it gets short, which happens
// only when their renewal fails.
import { X509Certificate } from "node:crypto";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Events, Told } from "../kube/events.ts";
import type { OperatorMetrics } from "../metrics.ts";
import { DAY_MS, splitPem, validityOf } from "./authority-state.ts";
import { Rounds } from "./rounds.ts";
import type { CertificateSource } from "./source.ts";

const LOOK_MS: number = 10 * 60_000;
/** The same warning comes again after so long, in milliseconds. */
const REPEAT_MS: number = 6 * 60 * 60_000;
const SHORT_MS: number = 14 * DAY_MS;
/** Of a certificate that lives shorter than ten weeks, the last fifth is short: renewal is long due then. */
const SHORT_PART = 1 / 5;

export interface ExpiryOptions {
  readonly source: CertificateSource;
  readonly metrics: Pick<OperatorMetrics, "certificateExpires">;
  readonly events: Events;
  /** What the Events are about: something that people look at, as the operator's Deployment. */
  readonly about: Told["about"];
  readonly clock: Clock;
  readonly log: Log;
}

type Name = "ca" | "serving";

/** Looks now, at each change and every ten minutes. Gives the end of it. */
export function watchExpiry(options: ExpiryOptions): () => Promise<void> {
  const { clock, log, source } = options;
  const warned = new Map<Name, number>();
  const round = (): Promise<void> => {
    for (const [name, pem] of certificatesOf(source)) look(options, warned, { name, pem });
    return Promise.resolve();
  };
  const failed = (error: unknown): void => log.error("certificates: expiry unknown", { error: String(error) });
  const rounds = new Rounds({ clock, everyMs: LOOK_MS, retryMs: LOOK_MS, round, failed });
  const unfollow = source.onChange(() => void rounds.ask());
  return () => {
    unfollow();
    return rounds.close();
  };
}

function certificatesOf({ current, trustAnchors }: CertificateSource): readonly (readonly [Name, string])[] {
  const [leaf] = splitPem(current.certificatePem) ?? [];
  const [authority] = splitPem(trustAnchors) ?? [];
  const found: (readonly [Name, string])[] = [];
  if (authority !== undefined) found.push(["ca", authority]);
  if (leaf !== undefined) found.push(["serving", leaf]);
  return found;
}

function look(
  { clock, metrics, events, about, log }: ExpiryOptions,
  warned: Map<Name, number>,
  { name, pem }: { readonly name: Name; readonly pem: string },
): void {
  const { fromMs, untilMs } = validityOf(pem);
  const nowMs = clock.nowMs();
  metrics.certificateExpires(name, Math.floor(untilMs / 1000));
  const leftMs = untilMs - nowMs;
  if (leftMs >= Math.min(SHORT_MS, (untilMs - fromMs) * SHORT_PART)) {
    warned.delete(name);
    return;
  }
  if (nowMs - (warned.get(name) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
  warned.set(name, nowMs);
  const note = describe(name, pem, leftMs);
  log.warn("certificates: one expires and was not renewed", { certificate: name, note });
  events.tell({ about, type: "Warning", reason: "CertificateExpires", action: "RenewCertificate", note });
}

function describe(name: Name, pem: string, leftMs: number): string {
  const { subject, validTo } = new X509Certificate(pem);
  const what = name === "ca" ? "CA" : "serving certificate";
  const days = Math.floor(leftMs / DAY_MS);
  const left = leftMs <= 0 ? "has expired" : `expires in ${days === 0 ? "less than a day" : `${days} days`}`;
  return `the ${what} ${subject} ${left} (${validTo}) and was not renewed; see the operator's log and docs/certificates.md`;
}
