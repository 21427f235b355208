// What recording.test.ts runs by a mocha of its own: subjects with cases that pass, fail and are left out.
import { inMemory } from "#test/conformance/in-memory.ts";
import { recordRun, recordSkip } from "#test/conformance/recording.ts";
import type { Subject } from "#test/conformance/subject.ts";
import { conformance } from "#test/conformance/suite.ts";
import { surfaceOf } from "#test/conformance/surface.ts";

function run(subject: Subject): void {
  describe(subject.name, function () {
    recordRun(subject, this, async () => ({ redis: "Redis 1.2" }));
    describe("a chapter", () => {
      it("passes at once", () => undefined);
      it("passes later", async () => undefined);
      it.skip("is wrong in an emulator (not run: the emulator)", () => undefined);
    });
    describe("another", () => {
      it("fails", () => {
        throw new Error("on purpose");
      });
    });
  });
}

const overApi = { ...inMemory, name: "over an API", surface: surfaceOf(inMemory) };
run({ ...inMemory, name: "a, or b/c", excepted: { "is wrong in an emulator": "the emulator" }, server: "pause" });
run(overApi);
recordSkip({ ...overApi, skip: "nothing here" }, 7);
conformance({ ...inMemory, name: "elsewhere", skip: "nothing here" });
