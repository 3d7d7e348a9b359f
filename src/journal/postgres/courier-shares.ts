import { type Sql, statement } from "./sql.ts";

const SHARE = statement("share_couriers")`SELECT held, target FROM share_couriers($1, $2, $3, $4, $5, $6)`;

export interface CourierRequest {
  /** Grows with each request of a life. */
  readonly number: number;
  /** How many couriers the node keeps of those that it holds. */
  readonly keep: number;
  /** How many it could use now, those included. */
  readonly want: number;
  /** How long its first order has waited for one. */
  readonly waitedMs: number;
  /** Couriers of the cluster. */
  readonly total: number;
}

/**
 * Gives back and takes couriers for a life: all lives together hold at most `total`. Undefined where the life has ended, which then holds
 * none. Rejects with `JournalUnavailable`: it was done, or will be, or not, and the next request says what is kept.
 */
export async function shareCouriers(sql: Sql, life: () => number, { number, keep, want, waitedMs, total }: CourierRequest) {
  const asked = life();
  const [share] = await sql.rows<[held: number, target: number]>(SHARE, [asked, number, keep, want, waitedMs, total]);
  return share === undefined || life() !== asked ? undefined : { held: share[0], target: share[1] };
}
