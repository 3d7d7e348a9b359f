import { openLoop } from "../open-loop.ts";
import { quantile } from "../quantile.ts";

/** What became of orders that came at a constant rate. */
export interface Phase {
  readonly ok: number;
  /** Orders that were accepted and failed, by kind. */
  readonly failed: ReadonlyMap<string, number>;
  readonly refused: number;
  readonly broken: number;
  /** Orders placed a second, while orders came in. */
  readonly goodput: number;
  readonly okP99Ms: number;
  readonly refusedP99Ms: number;
  /** Of orders sent later than `settlingMs` after the first. */
  readonly refusedLate: number;
}

export interface PhaseOptions {
  readonly port: number;
  readonly perSecond: number;
  readonly seconds: number;
  readonly order: () => object;
  readonly settlingMs?: number;
}

/** Sends orders at a constant rate; resolves when all are answered. */
export async function runPhase({ port, perSecond, seconds, order, settlingMs = 0 }: PhaseOptions): Promise<Phase> {
  const failed = new Map<string, number>();
  const okMs: number[] = [];
  const refusedMs: number[] = [];
  let inTime = 0;
  let refusedLate = 0;
  const startMs = performance.now();
  const { broken } = await openLoop({
    port,
    perSecond,
    seconds,
    order,
    onAnswer: (n, status, body, latencyMs) => {
      if (status === 200) {
        okMs.push(latencyMs);
        if (performance.now() - startMs <= seconds * 1_000) inTime++;
        return;
      }
      const { steps, error } = JSON.parse(body) as { steps?: unknown; error: { kind: string } };
      if (steps === undefined && error.kind === "overloaded") {
        refusedMs.push(latencyMs);
        if ((n * 1_000) / perSecond > settlingMs) refusedLate++;
      } else failed.set(error.kind, (failed.get(error.kind) ?? 0) + 1);
    },
  });
  return {
    ok: okMs.length,
    failed,
    refused: refusedMs.length,
    broken,
    goodput: inTime / seconds,
    okP99Ms: okMs.length === 0 ? Number.NaN : quantile(okMs, 0.99),
    refusedP99Ms: refusedMs.length === 0 ? 0 : quantile(refusedMs, 0.99),
    refusedLate,
  };
}

export function failures({ failed }: Phase): number {
  return [...failed.values()].reduce((sum, count) => sum + count, 0);
}
