import { violationLines } from "../ledger/report.ts";
import type { ClusterResult } from "./campaign.ts";

/** What a campaign has done in a few lines, and each violation with the history of its order. */
export function reportOn(result: ClusterResult): string {
  const { seed, orders, requests, seconds, sights, recovery, couriers } = result;
  const blows = [...recovery.counts].map(([kind, count]) => `${kind} ${count}`).join(", ");
  const lines = [
    `seed ${seed}: ${orders} orders, ${requests} requests, ${sights.count("placed")} placed and ${sights.count("failed")} failed attempts in ${seconds.toFixed(0)} s`,
    `blows: ${blows}`,
    `slowest end of what ran: ${(recovery.slowestEndMs / 1_000).toFixed(2)} s; slowest until all couriers were in use after a kill: ${(recovery.slowestCouriersMs / 1_000).toFixed(2)} s; most couriers: ${couriers.most} of ${couriers.count}`,
    ...violationLines(result),
  ];
  return `${lines.join("\n")}\n`;
}
