import { expect, test } from "vitest";
import { Lagging } from "../../../src/journal/postgres/queries/lagging.ts";
import { eventually } from "../../support/eventually.ts";

/** Reads that end when the test says so. */
function reads() {
  const begun: PromiseWithResolvers<string>[] = [];
  const read = () => {
    const one = Promise.withResolvers<string>();
    begun.push(one);
    return one.promise;
  };
  return { begun, read };
}

test("the first ones wait for one read, later ones get its value while one new read is under way", async () => {
  const { begun, read } = reads();
  const lagging = new Lagging(read, 0);
  const first = [lagging.value(), lagging.value()];
  expect(begun).toHaveLength(1);
  begun[0]?.resolve("first");
  expect(await Promise.all(first)).toEqual(["first", "first"]);

  expect([await lagging.value(), await lagging.value()]).toEqual(["first", "first"]);
  expect(begun).toHaveLength(2);
  begun[1]?.resolve("second");
  await eventually(
    "the second value",
    () => lagging.value(),
    (value) => value === "second",
  );
});

test("a value that is not old is not read again", async () => {
  const { begun, read } = reads();
  const lagging = new Lagging(read, 1_000_000_000);
  const first = lagging.value();
  begun[0]?.resolve("first");
  expect([await first, await lagging.value(), begun.length]).toEqual(["first", "first", 1]);
});

test("a first read that fails is told and tried again; a later one leaves the value", async () => {
  const { begun, read } = reads();
  const lagging = new Lagging(read, 0);
  const first = lagging.value();
  begun[0]?.reject(new Error("gone"));
  await expect(first).rejects.toThrow("gone");
  const again = lagging.value();
  begun[1]?.resolve("there");
  expect(await again).toBe("there");
  expect(await lagging.value()).toBe("there");
  begun[2]?.reject(new Error("gone"));
  await eventually(
    "a further read",
    () => lagging.value(),
    () => begun.length > 3,
  );
  expect(await lagging.value()).toBe("there");
});
