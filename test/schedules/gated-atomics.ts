import type { SharedControl } from "./shared-control.ts";

const real = globalThis.Atomics;

type Words = Int32Array | Uint32Array | BigInt64Array | BigUint64Array;
type Value = number & bigint;

/** What a trace calls the operations. */
export const KINDS = [
  "load",
  "store",
  "add",
  "sub",
  "and",
  "or",
  "xor",
  "exchange",
  "compareExchange",
  "notify",
  "wait",
  "waitAsync",
  "post",
] as const;
type Kind = (typeof KINDS)[number];
/** Those that change nothing. */
export const READS: ReadonlySet<number> = new Set([KINDS.indexOf("load")]);
/** Messages are operations too; the box of a thread counts as an address. */
export const BOX = 1 << 24;

/**
 * `Atomics` for one thread of a scenario: every operation on the memory under test waits until the plan says that this thread goes on.
 * Waiting and waking are modelled: a thread that waits goes on only once it was notified.
 */
export class GatedAtomics {
  readonly #control: SharedControl;
  readonly #thread: number;
  #memory: SharedArrayBuffer | undefined;
  #waiters: ((value: "ok") => void)[] = [];

  constructor(control: SharedControl, thread: number) {
    this.#control = control;
    this.#thread = thread;
  }

  /** Operations on other memory go through at once. */
  watch(memory: SharedArrayBuffer | undefined): void {
    this.#memory = memory;
    if (memory !== undefined) this.#control.watch(memory);
  }

  /** Puts itself in the place of the real one. */
  install(): void {
    const gated: Record<string, unknown> = {};
    for (const name of Object.getOwnPropertyNames(real)) gated[name] = (real as unknown as Record<string, unknown>)[name];
    for (const kind of ["load", "store", "add", "sub", "and", "or", "xor", "exchange", "compareExchange"] as const) {
      gated[kind] = (words: Words, index: number, ...values: Value[]) => {
        this.#before(kind, words, index);
        const result = (real[kind] as (words: Words, index: number, ...values: Value[]) => Value)(words, index, ...values);
        return words.buffer === this.#memory ? this.#noted(kind, words, index, result) : result;
      };
    }
    gated.notify = (words: Words, index: number, count = Number.POSITIVE_INFINITY) => {
      this.#before("notify", words, index);
      return this.#noted("notify", words, index, this.#control.notify(this.#address(words, index), count) as Value);
    };
    gated.wait = (words: Int32Array, index: number, value: number) => {
      this.#before("wait", words, index);
      this.#noted("wait", words, index, real.load(words, index) as Value);
      if (real.load(words, index) !== value) return "not-equal";
      this.#control.block(this.#thread, this.#address(words, index));
      return "ok";
    };
    gated.waitAsync = (words: Int32Array, index: number, value: number) => {
      this.#before("waitAsync", words, index);
      this.#noted("waitAsync", words, index, real.load(words, index) as Value);
      if (real.load(words, index) !== value) return { async: false, value: "not-equal" };
      const n = this.#control.waiters.add(this.#thread, this.#address(words, index));
      return { async: true, value: new Promise<"ok">((resolve) => (this.#waiters[n] = resolve)) };
    };
    globalThis.Atomics = gated as unknown as typeof Atomics;
  }

  /** Messages count as operations. */
  post(to: number, message: string): void {
    this.#control.beforeOperation(this.#thread, KINDS.indexOf("post"), BOX + to);
    this.#control.mail.post(to, message);
  }

  /** Wakes one of this thread's asynchronous waiters that was notified. */
  wake(): void {
    this.#waiters[this.#control.waiters.takeDue(this.#thread)]?.("ok");
  }

  /** For the next schedule. */
  reset(): void {
    this.#waiters = [];
  }

  #before(kind: Kind, words: Words, index: number): void {
    if (words.buffer === this.#memory) this.#control.beforeOperation(this.#thread, KINDS.indexOf(kind), this.#address(words, index));
  }

  /** What the operation gave is all that the thread learns from outside. */
  #noted(kind: Kind, words: Words, index: number, result: Value): Value {
    this.#control.note(this.#thread, (KINDS.indexOf(kind) << 24) | this.#address(words, index));
    this.#control.note(this.#thread, Number(BigInt.asIntN(32, BigInt(result))));
    return result;
  }

  #address(words: Words, index: number): number {
    return (words.byteOffset + index * words.BYTES_PER_ELEMENT) >>> 2;
  }
}
