import { expect, test } from "vitest";
import { ThreadDeath } from "../../src/journal/thread-death.ts";

test("what ended before the thread leaves nothing behind, what did not rejects with its end", async () => {
  const death = new ThreadDeath();
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
