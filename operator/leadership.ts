// The leader where there is only one replica. Knows no Lease.
import type { Leadership } from "./api/peers.ts";

export type { Leadership };

export const soleLeader: Leadership = {
  isLeader: true,
  holder: () => null,
  onChange: () => () => undefined,
};
