import { setTimeout as pause } from "node:timers/promises";

const SETTLE_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** The part of `GET /debug/threads` that has to balance. */
export interface ThreadBooks {
  readonly running: number;
  readonly started: number;
  readonly finished: number;
  readonly orders_in_flight: number;
  readonly replaced: number;
  readonly threads: readonly unknown[];
}

export async function readBooks(adminUrl: string): Promise<ThreadBooks> {
  const response = await fetch(`${adminUrl}/debug/threads`);
  if (!response.ok) throw new Error(`GET /debug/threads answered ${response.status}`);
  return (await response.json()) as ThreadBooks;
}

/**
 * The books after the load. autocannon hangs up on the orders in flight when its time is over and those have to be
 * canceled first, so the books get some seconds to balance.
 */
export async function settledBooks(adminUrl: string): Promise<ThreadBooks> {
  const end = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const books = await readBooks(adminUrl);
    if (leaksOf(books).length === 0 || performance.now() > end) return books;
    await pause(LOOK_EVERY_MS);
  }
}

/** What has leaked, in words; empty where the books balance. */
export function leaksOf(books: ThreadBooks): string[] {
  const leaks: string[] = [];
  if (books.running !== 0) leaks.push(`${books.running} steps still running`);
  if (books.started !== books.finished) leaks.push(`${books.started} steps started, ${books.finished} finished`);
  if (books.orders_in_flight !== 0) leaks.push(`${books.orders_in_flight} orders still in flight`);
  return leaks;
}

export function describeBooks({ started, finished, running, orders_in_flight, replaced }: ThreadBooks): string {
  return `steps started ${started}, finished ${finished}, running ${running}; orders in flight ${orders_in_flight}; threads replaced ${replaced}`;
}
