import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { JournalHealth } from "../../src/journal/journal-health.ts";
import { eventually } from "../support/eventually.ts";

const PROBE_MS = 2;

test("a probe that hangs with the disk is the only one, and the next one follows when it has ended", async () => {
  const ends: (() => void)[] = [];
  let underWay = 0;
  let most = 0;
  const health = new JournalHealth({
    probeMs: PROBE_MS,
    async probe() {
      most = Math.max(most, ++underWay);
      await new Promise<void>((resolve) => ends.push(resolve));
      underWay--;
    },
  });
  try {
    health.failed("the disk hangs");
    await eventually("a probe", () => ends.length > 0);
    // Far more time than many probes need.
    for (let n = 0; n < 20; n++) {
      health.failed("the disk hangs");
      await sleep(PROBE_MS);
    }
    expect(ends).toHaveLength(1);
    for (let n = 0; n < 3; n++) {
      ends.at(-1)?.();
      await eventually("the next probe", () => ends.length > n + 1);
    }
    expect(most).toBe(1);
    // It worked: no more of them.
    health.works();
    ends.at(-1)?.();
    const { length } = ends;
    await sleep(20 * PROBE_MS);
    expect(ends).toHaveLength(length);
  } finally {
    health.close();
  }
});
