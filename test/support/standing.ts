import type { LedgerSnapshot } from "../../load/stand-in/ledger.ts";

/**
 * The keys of all calls whose effect stands: done once and never told to undo. Beside them, in words, whatever may not be in a ledger when
 * everything has ended.
 */
export function standing({ entries, malformed, pending }: LedgerSnapshot): string[] {
  const told = entries.flatMap(({ key, acted, compensated, tombstoneAt, mismatches }) => {
    const [done, undone] = [acted.length, compensated.length];
    const isOnce = done <= 1 && (tombstoneAt === undefined ? undone === 0 : undone === done) && mismatches === 0;
    if (!isOnce) return [`${key}: done ${done} times, undone ${undone} times, with other content ${mismatches} times`];
    return done > undone ? [key] : [];
  });
  return [...told, ...malformed, ...(pending > 0 ? [`${pending} things are yet to be done`] : [])].sort();
}
