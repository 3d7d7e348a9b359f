import type { LedgerResult } from "./campaign.ts";
import type { CampaignResult } from "./run-campaign.ts";

const SHOWN = 10;
const WITH_HISTORY = 3;

/** What a campaign has seen in one line, and each violation with the history of its order. */
export function reportOn({ seed, orders, requests, seconds, sights, missing, violations, historyOf }: LedgerResult): string {
  const minutes = seconds / 60;
  const lines = [
    `seed ${seed}: ${orders} orders, ${requests} requests in ${minutes.toFixed(1)} minutes, ${Math.round(orders / minutes)} orders/minute`,
    `seen: ${sights}`,
  ];
  if (missing.length > 0) lines.push(`never seen: ${missing.join(", ")}`);
  return `${[...lines, ...violationLines({ violations, historyOf })].join("\n")}\n`;
}

/** The first violations, the first few of them with the history of their order. */
export function violationLines({ violations, historyOf }: Pick<CampaignResult, "violations" | "historyOf">): string[] {
  const lines: string[] = [];
  const told = new Set<string>();
  for (const { order, text } of violations.slice(0, SHOWN)) {
    lines.push(`VIOLATION ${order ?? ""}: ${text}`);
    if (order === undefined || told.has(order) || told.size >= WITH_HISTORY) continue;
    told.add(order);
    lines.push(...historyOf(order).map((line) => `    ${line}`));
  }
  if (violations.length > SHOWN) lines.push(`and ${violations.length - SHOWN} more`);
  return lines;
}
