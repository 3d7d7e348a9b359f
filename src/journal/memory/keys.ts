import type { KeysTable, KnownKey } from "../rules/tables.ts";

interface Key {
  readonly known: KnownKey;
  readonly expiresMs: number;
}

/** Which attempt a client's key belongs to. */
export class MemoryKeys implements KeysTable {
  readonly #keys = new Map<string, Key>();

  get(client: string, key: string): KnownKey | undefined {
    return this.#keys.get(nameOf(client, key))?.known;
  }

  put(client: string, key: string, bodyHash: string, expiresMs: number, orderId: string, attempt: number): void {
    this.#keys.set(nameOf(client, key), { known: [bodyHash, orderId, attempt], expiresMs });
  }

  expire(nowMs: number, limit: number): number {
    let expired = 0;
    for (const [name, { expiresMs }] of this.#keys) {
      if (expired === limit) break;
      if (expiresMs > nowMs) continue;
      this.#keys.delete(name);
      expired++;
    }
    return expired;
  }
}

/** A key has no spaces, so a client's name of any kind can stand before it. */
function nameOf(client: string, key: string): string {
  return `${key} ${client}`;
}
