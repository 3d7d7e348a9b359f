import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Journal } from "../../src/journal/journal.ts";
import type { OrderEvent } from "../../src/orders/order-event.ts";
import { STEPS } from "../../src/orders/steps.ts";
import { done, dueAt, FAR, type JournalFixture, keyOf, NOW, pending, postponed } from "../journal/journal-fixture.ts";

/** The ids of the compensations by their order. */
export interface OpenWork {
  readonly failed: readonly number[];
  readonly unanswered: readonly number[];
  readonly done: readonly number[];
}

/** Fills a journal with orders in every state that a backup can find them in. Takes their events out. */
export async function addOpenWork(at: JournalFixture): Promise<OpenWork> {
  await at.accept("placed", 100, keyOf("placed"));
  await at.finish("placed");
  await at.accept("running", 100, keyOf("running"));
  await at.accept("failed", 100, keyOf("failed"));
  const compensations = [done("vendor"), postponed("payment"), pending("courier")];
  const failed = await at.finish("failed", { error: "timeout", compensations });
  await at.accept("unanswered", 100, keyOf("unanswered"));
  const unanswered = await at.fail("unanswered", { error: "no_courier", compensations: [done("payment"), pending("vendor")] });
  const all = await at.run("done", { error: "timeout", compensations: [done("payment"), done("vendor")] });
  await at.deliverAll();
  return { failed, unanswered, done: all };
}

let copies = 0;

/** Backs a journal up to a new file. */
export async function backUp(at: { readonly journal: Journal; readonly directory: string }): Promise<string> {
  const { file } = await at.journal.backup(join(at.directory, `backup-${++copies}.db`));
  return file;
}

/** A journal that came from a backup. */
export interface Restored extends AsyncDisposable {
  readonly journal: Journal;
  readonly directory: string;
  readonly file: string;
}

/** Opens a copy of a backup as a journal. */
export async function restoreFrom(backup: string, directory: string): Promise<Restored> {
  const file = join(directory, `restored-${++copies}.db`);
  copyFileSync(backup, file);
  const journal = await Journal.open(file, { events: true });
  return { journal, directory, file, [Symbol.asyncDispose]: () => journal.close() };
}

/** Nothing goes on however long one waits: recovery closes nothing, and no queue finds a row or an event. */
export async function expectNothingGoesOn(journal: Journal): Promise<void> {
  expect(await journal.closeInterrupted(1_000, NOW)).toBe(0);
  for (const step of STEPS) {
    for (const kind of ["first", "again"] as const) expect(await journal.takeCompensations(step, kind, dueAt(FAR))).toEqual({ items: [] });
  }
  expect(await journal.takeEvents(dueAt(FAR))).toEqual({ items: [] });
}

/** Takes everything that is due: its order and step. */
export async function takeAll(journal: Journal, nowMs = FAR): Promise<string[]> {
  const taken: string[] = [];
  for (const step of STEPS) {
    for (const kind of ["first", "again"] as const) {
      const { items } = await journal.takeCompensations(step, kind, dueAt(nowMs));
      taken.push(...items.map(({ orderId }) => `${orderId} ${step}`));
    }
  }
  return taken.sort();
}

/** Delivers all events: type and order. */
export async function deliverAll(journal: Journal): Promise<string[]> {
  const delivered: OrderEvent[] = [];
  for (;;) {
    const { items } = await journal.takeEvents(dueAt(FAR));
    if (items.length === 0) break;
    for (const event of items) await journal.eventDelivered(event.seq, NOW);
    delivered.push(...items);
  }
  delivered.sort((one, other) => one.seq - other.seq);
  return delivered.map(({ payload, orderId }) => `${JSON.parse(payload).type} ${orderId}`);
}

/** The compensations that are held: order and step. */
export async function heldIn(journal: Journal): Promise<string[]> {
  const { items } = await journal.heldAttempts(undefined, 500);
  return items.flatMap(({ orderId, compensations }) => compensations.map(({ step }) => `${orderId} ${step}`)).sort();
}
