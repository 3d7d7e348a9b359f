import { expect, test } from "vitest";
import { Interruption } from "../../src/journal/interruption.ts";

test("what ends first leaves nothing behind, what does not is interrupted", async () => {
  const death = new Interruption("thread ended");
  const ended = death.orElse(Promise.resolve("done"));
  const failed = death.orElse(Promise.reject(new Error("no")));
  const open = death.orElse(new Promise(() => {}));
  expect(death.waiting).toBe(3);
  expect(await ended).toBe("done");
  await expect(failed).rejects.toThrow("no");
  await Promise.resolve();
  expect(death.waiting).toBe(1);
  death.happen();
  await expect(open).rejects.toThrow("thread ended");
  expect(death.waiting).toBe(0);
  await expect(death.orElse(Promise.resolve("late"))).rejects.toThrow("thread ended");
});
