// Every store that is wrong on purpose, each in one way that a driver has been wrong in before. The suite has to notice.
import type { BrokenStore } from "./broken-store.ts";
import { conditionFaults } from "./conditions.ts";
import { expiryFaults } from "./expiry.ts";
import { lifeFaults } from "./life.ts";
import { bulkFaults, transactionFaults } from "./many.ts";
import { valueFaults } from "./values.ts";
import { walkFaults } from "./walks.ts";

export const BROKEN_STORES: readonly BrokenStore[] = [
  ...valueFaults,
  ...conditionFaults,
  ...expiryFaults,
  ...transactionFaults,
  ...bulkFaults,
  ...walkFaults,
  ...lifeFaults,
];
