import { expect, test } from "vitest";
import { JournalUnavailable } from "../../src/orders/order-journal.ts";
import { JournalFixture } from "../journal/journal-fixture.ts";

// Few enough that the thread gets them together with the close.
const READS = 20;
const TIMES = 3;

test.each(["memory", "file"] as const)(
  "reads that wait when a journal in %s closes are answered, and later ones are refused",
  async (kind) => {
    for (let time = 0; time < TIMES; time++) {
      await using at = await JournalFixture.open(kind);
      const { journal } = at;
      await at.accept("o", 7);
      const waiting = Array.from({ length: READS }, () => journal.find("o"));
      const closed = journal.close();
      const found = await Promise.allSettled(waiting);
      expect(found.filter(({ status }) => status === "rejected")).toEqual([]);
      expect(found.map((one) => one.status === "fulfilled" && one.value?.amount)).toEqual(Array(READS).fill(7));
      await expect(journal.find("o")).rejects.toBeInstanceOf(JournalUnavailable);
      await closed;
    }
  },
);
