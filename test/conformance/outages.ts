// Conformance: the server goes and comes back. Calls fail within a deadline and never hang, the store recovers without
// being opened again, and what an error says about a write is true. For the subjects whose server can be hurt.
import assert from "node:assert/strict";
import type { Store, StoreErrorCode } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { outcomeOf, settles } from "./checks.ts";
import {
  assertCodes,
  assertRejected,
  assertTruth,
  type Outcome,
  operations,
  outcomes,
  recovers,
} from "./operations.ts";
import { call, json, write } from "./requests.ts";
import type { Server, Subject } from "./subject.ts";

/** The longest that a call may take against a server that is gone or does not answer. */
const DEADLINE_MS = 30_000;
/** When the core's own limit ends the call; a driver may be quicker. */
const CALL_MS = 2000;
const RECOVERY_MS = 30_000;
const IN_FLIGHT = 10;

const READ_CODES: readonly StoreErrorCode[] = ["unavailable", "timeout"];
const WRITE_CODES: readonly StoreErrorCode[] = ["unavailable", "timeout", "unknown-outcome"];

const isWrite = ({ operation }: Outcome): boolean => operation.creates !== null || operation.name.startsWith("remove");

function assertFailed(ends: readonly Outcome[]): void {
  assertRejected(ends.filter(isWrite), WRITE_CODES);
  assertRejected(
    ends.filter((end) => !isWrite(end)),
    READ_CODES,
  );
}

/** All operations by a client that waits `CALL_MS`. */
function patient(store: Store, key: Context["key"]): ReturnType<typeof operations> {
  return operations(store, key, { signal: AbortSignal.timeout(CALL_MS) });
}

/** Runs `work` without the server, which is there again afterwards, whatever happened. */
async function without<T>(server: Server, work: () => Promise<T>): Promise<T> {
  await server.stop();
  try {
    return await work();
  } finally {
    await server.start();
  }
}

async function whilePaused<T>({ pause, resume }: Server, work: () => Promise<T>): Promise<T> {
  assert.ok(pause !== null, "the subject says that its server can be paused, and it has no pause");
  pause();
  try {
    return await work();
  } finally {
    resume();
  }
}

const canRestart = ({ server }: Subject): boolean => server !== "none";
const canPause = ({ server }: Subject): boolean => server === "pause";

const restarts: readonly Case[] = [
  caseFor(canRestart, "fails every operation while the server is gone, and works when it is back", async (context) => {
    const { store, key } = context;
    await recovers(store, key("before"), RECOVERY_MS);
    await without(context.server(), async () => assertFailed(await outcomes(patient(store, key), DEADLINE_MS)));
    await recovers(store, key("after"), RECOVERY_MS);
    assertCodes(await outcomes(operations(store, key), DEADLINE_MS), []);
  }),

  caseFor(canRestart, "fails again and again without a call that hangs, and still recovers", async (context) => {
    const { store, key } = context;
    await without(context.server(), async () => {
      for (let turn = 0; turn < 3; turn++) {
        const keyOfTurn = (name: string): string => key(`${turn}-${name}`);
        assertFailed(await outcomes(patient(store, keyOfTurn), DEADLINE_MS));
      }
    });
    await recovers(store, key("after"), RECOVERY_MS);
  }),

  caseFor(canRestart, "ends the calls under way when the server dies", async (context) => {
    const { store, key } = context;
    await recovers(store, key("before"), RECOVERY_MS);
    const turns = Array.from({ length: IN_FLIGHT }, (_, turn) => turn);
    const calls = turns.flatMap((turn) => patient(store, (name) => key(`${turn}-${name}`)));
    const running = outcomes(calls, DEADLINE_MS);
    await without(context.server(), async () => assertCodes(await running, WRITE_CODES));
    await recovers(store, key("after"), RECOVERY_MS);
  }),

  caseFor(canRestart, "closes while the server is gone, and rejects with closed from then on", async (context) => {
    const store = await context.open();
    await without(context.server(), async () => {
      await outcomes(patient(store, context.key), DEADLINE_MS);
      await settles(store.close(), DEADLINE_MS, "close");
      assertRejected(await outcomes(operations(store, context.key), DEADLINE_MS), ["closed"]);
    });
    await recovers(context.store, context.key("after"), RECOVERY_MS);
  }),

  caseFor(canRestart, "rejects an open while the server is gone", async (context) => {
    await without(context.server(), async () => {
      const opened = context.openWith(AbortSignal.timeout(CALL_MS));
      const error = await outcomeOf(settles(opened, DEADLINE_MS, "open"));
      assert.ok(error !== null, "the open succeeded without a server");
      assert.ok(READ_CODES.includes(error.code), `open: got code ${error.code}, want ${READ_CODES}`);
    });
    await recovers(context.store, context.key("after"), RECOVERY_MS);
  }),
];

const pauses: readonly Case[] = [
  caseFor(
    canPause,
    "ends every operation while the server hangs, and tells the truth about writes",
    async (context) => {
      const { store, key } = context;
      await recovers(store, key("before"), RECOVERY_MS);
      const ends = await whilePaused(context.server(), () => outcomes(patient(store, key), DEADLINE_MS));
      assertFailed(ends);
      await recovers(store, key("after"), RECOVERY_MS);
      await assertTruth(store, ends);
    },
  ),

  caseFor(canPause, "closes while the server hangs", async (context) => {
    const store = await context.open();
    await store.set(write(context.key("before"), json(1)), call());
    const ends = await whilePaused(context.server(), async () => {
      const running = outcomes(patient(store, context.key), DEADLINE_MS);
      await settles(store.close(), DEADLINE_MS, "close");
      return running;
    });
    assertCodes(ends, ["closed", ...WRITE_CODES]);
    await recovers(context.store, context.key("after"), RECOVERY_MS);
    await assertTruth(context.store, ends);
  }),
];

export const outages: Chapter = { name: "outages", cases: [...restarts, ...pauses] };
