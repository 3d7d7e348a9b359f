import { appendFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { balance } from "../../load/stand-in/balance.ts";
import { randomFrom } from "../../load/stand-in/random.ts";
import { spawnStandIn } from "../../load/stand-in/spawn.ts";
import { ChildServer } from "../support/child-server.ts";
import { eventually } from "../support/eventually.ts";
import { send } from "../support/http-client.ts";
import { type Answered, ask, ranToAnEnd } from "./asking.ts";
import { endingsOf } from "./endings.ts";
import { BAD_DAY } from "./providers.ts";

const SEED = process.env.SEED ?? String(Date.now());
const KILLS = 20;
const CLIENTS = 24;

interface Told {
  readonly status: string;
  readonly error?: { readonly kind: string };
}

// Killed at random moments, restarted on the same journal: what a client was told stays so, and nobody pays for nothing.
test(`what was acknowledged survives ${KILLS} times SIGKILL, and the ledger balances (SEED=${SEED})`, { timeout: 300_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "kill-"));
  const journal = join(directory, "orders.db");
  const standIn = await spawnStandIn({ seed: SEED, rates: BAD_DAY });
  const settings = {
    JOURNAL: journal,
    PAYMENT_URL: standIn.url,
    VENDOR_URL: standIn.url,
    COURIER_URL: standIn.url,
    COURIER_CAPACITY: "128",
    ORDER_TIMEOUT_MS: "300",
    LOG_LEVEL: "error",
  };
  const random = randomFrom(SEED);
  const orders = new Map<string, number>();
  const answered: Answered[] = [];
  let next = 0;
  let cutOff = 0;
  let torn = 0;

  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await using server = new ChildServer(settings);
      const { port } = await server.ports();
      await checkWhatWasTold(port, sample(answered, 40, random));

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
          if (answer === undefined) cutOff++;
          else if (ranToAnEnd(answer)) answered.push(answer);
        }
      };
      const clients = Array.from({ length: CLIENTS }, client);
      // The moment is what this test is about: anywhere in the life of some orders, after so many answers.
      const enough = answered.length + Math.floor(random() * 30);
      await eventually(
        "answers",
        () => answered.length,
        (count) => count >= enough,
        30_000,
      );
      await pause(random() * 20);
      server.signal("SIGKILL");
      expect(await server.exited).toEqual({ code: null, signal: "SIGKILL" });
      killed = true;
      await Promise.all(clients);
      if (kill % 2 === 1 && existsSync(`${journal}-wal`)) {
        // A page that was being written when the power went: half a frame behind the last whole one.
        appendFileSync(`${journal}-wal`, Buffer.from(Array.from({ length: 2048 }, () => Math.floor(random() * 256))));
        torn++;
      }
    }

    await using server = new ChildServer(settings);
    const { port } = await server.ports();
    await standIn.setRates({});
    await checkWhatWasTold(port, answered);
    const endings = await endingsOf(port, orders, 90_000);
    expect(balance(await standIn.quiet(), endings)).toEqual([]);

    expect(answered.length).toBeGreaterThan(KILLS * 5);
    expect(cutOff).toBeGreaterThan(KILLS);
    expect(torn).toBeGreaterThan(0);
    expect(endings.some(({ ok }) => !ok)).toBe(true);
    server.signal("SIGTERM");
    expect(await server.exited).toEqual({ code: 0, signal: null });
  } finally {
    await standIn.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

/** `GET /order/{id}` and the repeat of the same request say what the client was told before. */
async function checkWhatWasTold(port: number, told: readonly Answered[]): Promise<void> {
  for (const { orderId, amount, key, status, text } of told) {
    const before = JSON.parse(text) as Told;
    const view = (await send(port, { path: `/order/${encodeURIComponent(orderId)}` })).json as { readonly attempts: readonly Told[] };
    const same = view.attempts.filter((attempt) => attempt.status === before.status && attempt.error?.kind === before.error?.kind);
    expect(same.length, `${orderId} was answered ${text}, and now is ${JSON.stringify(view)}`).toBeGreaterThan(0);
    const repeat = await ask(port, { orderId, amount, ...(key !== undefined && { key }) });
    expect({ orderId, status: repeat?.status, text: repeat?.text }).toEqual({ orderId, status, text });
  }
}

function sample<T>(all: readonly T[], count: number, random: () => number): T[] {
  return all.length <= count ? [...all] : Array.from({ length: count }, () => all[Math.floor(random() * all.length)] as T);
}
