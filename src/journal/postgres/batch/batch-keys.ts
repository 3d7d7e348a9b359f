import type { KeysTable, KnownKey } from "../../rules/tables.ts";

/** An idempotency key with the attempt that it belongs to. */
export interface KeyRow {
  readonly client: string;
  readonly key: string;
  readonly bodyHash: string;
  readonly orderId: string;
  readonly attempt: number;
  readonly expiresMs: number;
}

/** What a batch knows of keys, and what it bound. */
export class BatchKeys implements KeysTable {
  readonly #known = new Map<string, KnownKey>();
  readonly #stored = new Set<string>();
  readonly #bound = new Map<string, KeyRow>();
  expired = 0;

  load(client: string, key: string, known: KnownKey): void {
    const name = nameOf(client, key);
    this.#known.set(name, known);
    this.#stored.add(name);
  }

  get(client: string, key: string): KnownKey | undefined {
    return this.#known.get(nameOf(client, key));
  }

  put(client: string, key: string, bodyHash: string, expiresMs: number, orderId: string, attempt: number): void {
    const name = nameOf(client, key);
    this.#known.set(name, [bodyHash, orderId, attempt]);
    this.#bound.set(name, { client, key, bodyHash, orderId, attempt, expiresMs });
  }

  expire(): number {
    return this.expired;
  }

  /** What was bound, of keys that are stored already (true) or not. In the order in which every node writes them. */
  bound(isStored: boolean): KeyRow[] {
    const names = [...this.#bound.keys()].filter((name) => this.#stored.has(name) === isStored).sort();
    return names.map((name) => this.#bound.get(name) as KeyRow);
  }
}

/** A key has no spaces, so a client's name of any kind can stand behind it. */
function nameOf(client: string, key: string): string {
  return `${key} ${client}`;
}
