import { appendFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { spawnStandIn } from "../../load/stand-in/spawn.ts";
import { perStepSetting } from "../../src/orders/steps.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { buildFailingDisk, FailingDisk, WITHOUT_FAILING_DISK } from "../support/failing-disk.ts";
import { send } from "../support/http-client.ts";
import { measurePace } from "../support/pace.ts";
import { type Answered, ask, ranToAnEnd } from "./asking.ts";
import { endingsOf } from "./endings.ts";
import { badDay, DEADLINE_TIMES } from "./providers.ts";

const SEED = process.env.SEED ?? String(Date.now());
const READERS = 8;
const KILLS = 20;
const ANSWERED = 100;
const PLACED = 30;
const FAILED = 30;
const LIMIT_MS = 600_000;

interface Answer {
  readonly status: string;
  readonly error?: { readonly kind: string };
}

// Killed at random moments, or ended by itself because its disk failed, restarted on the same journal: what a client was answered stays
// so, and nobody pays for nothing.
test(`what was acknowledged survives ${KILLS} times SIGKILL or a disk that fails in a commit, and the ledger balances (SEED=${SEED})`, {
  timeout: 2 * LIMIT_MS,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), "kill-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const journal = join(directory, "orders.db");
  const standIn = await spawnStandIn({ seed: SEED });
  const quietSettings = {
    JOURNAL: journal,
    ...perStepSetting("URL", () => standIn.url),
    COURIER_CAPACITY: "128",
    ORDER_TIMEOUT_MS: "60000",
    LOG_LEVEL: "error",
  };
  const random = randomFrom(SEED);
  const orders = new Map<string, number>();
  const answered: Answered[] = [];
  const counts = { kills: 0, cutOff: 0, torn: 0, diskFailures: 0, repeated: 0, overloaded: 0 };
  const disk = WITHOUT_FAILING_DISK === undefined ? new FailingDisk(buildFailingDisk(directory), join(directory, "disk")) : undefined;
  if (disk === undefined) console.warn(`no disk fails here: ${WITHOUT_FAILING_DISK}`);

  const measure = async () => {
    await using server = new ChildServer(quietSettings);
    const { port } = await server.ports();
    return await measurePace(24, async () => {
      const order = { orderId: `quiet order ${orders.size}`, amount: 1 };
      orders.set(order.orderId, order.amount);
      expect((await ask(port, order))?.status).toBe(200);
    });
  };
  const { clients, orderMs } = await measure();
  const deadlineMs = Math.max(300, Math.ceil(DEADLINE_TIMES * orderMs));
  await standIn.setFaultRates(badDay(deadlineMs));
  const settings = { ...quietSettings, ORDER_TIMEOUT_MS: String(deadlineMs) };

  const isEnough = () => {
    const placed = answered.filter(({ status }) => status === 200).length;
    const { kills, cutOff, torn, diskFailures } = counts;
    const answersSuffice = answered.length > ANSWERED && placed > PLACED && answered.length - placed > FAILED;
    return answersSuffice && kills >= KILLS && cutOff > KILLS && torn > 0 && (disk === undefined || diskFailures > 2);
  };
  const startedMs = performance.now();
  let next = 0;
  while (!isEnough()) {
    if (performance.now() - startedMs > LIMIT_MS) {
      throw new Error(`not enough seen in ${LIMIT_MS / 1000} s: ${JSON.stringify({ answered: answered.length, ...counts })}`);
    }
    await using server = new ChildServer({ ...settings, ...disk?.settings });
    const { port } = await server.ports();
    await checkAnswersStay(port, sample(answered, 40, random), counts);

    let killed = false;
    const client = async () => {
      while (!killed) {
        const n = next++;
        const repeats = n > 0 && random() < 0.2;
        const orderId = `order ${repeats ? Math.max(0, n - 1 - Math.floor(random() * 60)) : n}`;
        const amount = orders.get(orderId) ?? 1 + Math.floor(random() * 100_000);
        orders.set(orderId, amount);
        const key = `key-${orderId.slice(6)}-${random() < 0.9 ? "a" : "b"}`;
        const answer = await ask(port, { orderId, amount, key });
        if (answer === undefined) counts.cutOff++;
        else if (ranToAnEnd(answer)) answered.push(answer);
      }
    };
    const running = Array.from({ length: clients }, client);
    // The moment is what this test is about: anywhere in the life of some orders, after so many answers.
    const enough = answered.length + Math.floor(random() * 30);
    await eventually(
      "answers",
      () => answered.length,
      (count) => count >= enough,
      LIMIT_MS,
    );
    await pause(random() * 20);
    if (disk !== undefined && counts.kills % 4 === 2) {
      // With the clients still there: it is their next commit that ends the process.
      disk.fail("sync-log");
      expect(await server.exited).toEqual({ code: 1, signal: null });
      disk.mend("sync-log");
      counts.diskFailures++;
    } else {
      server.signal("SIGKILL");
    }
    // At once: a client that goes on would only count how often nobody listens.
    killed = true;
    await Promise.all(running);
    const { code, signal } = await server.exited;
    expect(code ?? signal).toBe(counts.kills % 4 === 2 && disk !== undefined ? 1 : "SIGKILL");
    if (counts.kills++ % 2 === 1 && existsSync(`${journal}-wal`)) {
      // A page that was being written when the power went: half a frame behind the last whole one.
      appendFileSync(`${journal}-wal`, Buffer.from(Array.from({ length: 2048 }, () => Math.floor(random() * 256))));
      counts.torn++;
    }
  }

  await using server = new ChildServer(settings);
  const { port } = await server.ports();
  await standIn.setFaultRates({});
  const sampled = counts.repeated;
  await checkAnswersStay(port, answered, counts);
  expect(counts.repeated - sampled).toBe(answered.length);
  const endings = await endingsOf(port, orders, 90_000);
  expect(balance(await standIn.quiet(), endings)).toEqual([]);

  expect(endings.some(({ ok }) => !ok)).toBe(true);
  server.signal("SIGTERM");
  expect(await server.exited).toEqual({ code: 0, signal: null });
  console.info(`SEED=${SEED} clients=${clients} deadline=${deadlineMs} ms answered=${answered.length} attempts=${endings.length}`, counts);
  await standIn.close();
});

interface RepeatCounts {
  /** Repeats that were answered as before. */
  repeated: number;
  /** Repeats that were refused and sent again. */
  overloaded: number;
}

/** `GET /order/{id}` and the repeat of the same request say what the client was answered before. */
async function checkAnswersStay(port: number, given: readonly Answered[], counts: RepeatCounts): Promise<void> {
  const left = given.values();
  // Each answer alone would wait for two idle processes to be woken up.
  const reader = async () => {
    for (const one of left) await checkOne(port, one, counts);
  };
  await Promise.all(Array.from({ length: READERS }, reader));
}

async function checkOne(port: number, { orderId, amount, key, status, text }: Answered, counts: RepeatCounts): Promise<void> {
  const before = JSON.parse(text) as Answer;
  const view = (await send(port, { path: `/order/${encodeURIComponent(orderId)}` })).json as { readonly attempts: readonly Answer[] };
  const same = view.attempts.filter((attempt) => attempt.status === before.status && attempt.error?.kind === before.error?.kind);
  expect(same.length, `${orderId} was answered ${text}, and now is ${JSON.stringify(view)}`).toBeGreaterThan(0);
  // Only the journal knows the order, so a busy service may refuse the repeat as it refuses a new order.
  const repeat = await eventually(
    `the answer to ${orderId} again`,
    async () => {
      const answer = await ask(port, { orderId, amount, ...(key !== undefined && { key }) });
      const isRefused = answer?.status === 503 && answer.text.includes('"kind":"overloaded"');
      if (isRefused) counts.overloaded++;
      return { answer, isRefused };
    },
    ({ isRefused }) => !isRefused,
  );
  expect({ orderId, status: repeat.answer?.status, text: repeat.answer?.text }).toEqual({ orderId, status, text });
  counts.repeated++;
}

function sample<T>(all: readonly T[], count: number, random: () => number): T[] {
  return all.length <= count ? [...all] : Array.from({ length: count }, () => all[Math.floor(random() * all.length)] as T);
}
