import type { LeaseAnswer, LeaseSync } from "./allocation.ts";
import { COURIER_LEASE, COURIER_LEASE_KEY } from "./courier-lease.ts";

/** Calls `CourierLease` through the engine's ingress. `headers`: what the ingress wants with each call, where it is protected. */
export function leaseClient(ingressUrl: string, headers: Readonly<Record<string, string>> = {}) {
  const url = `${ingressUrl.replace(/\/$/, "")}/${COURIER_LEASE}/${COURIER_LEASE_KEY}/sync`;
  /** Throws when the engine cannot be reached, says no, or gives no answer within `timeoutMs`. */
  return async (sync: LeaseSync, timeoutMs: number): Promise<LeaseAnswer> => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(sync),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the engine answered ${response.status} to a call of ${COURIER_LEASE}: ${text.slice(0, 200)}`);
    return JSON.parse(text) as LeaseAnswer;
  };
}
