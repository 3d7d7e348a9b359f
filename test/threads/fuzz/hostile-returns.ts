import { parentPort } from "node:worker_threads";
import { transfer } from "../../../src/threads/worker/index.ts";
import { FORGED_MESSAGES, libraryPort, unreadable } from "./forged-messages.ts";
import type { Body } from "./good-tasks.ts";
import { hostileProxy } from "./hostile-throws.ts";
import type { MyNotes } from "./notes.ts";

/** Tasks that return what nobody should, or post it. `expected.ts` says which of them fail. */
export const HOSTILE_RETURNS = {
  returnFunction: returning(() => () => {}),
  returnSymbol: returning(() => [Symbol("in a list")]),
  returnProxy: returning(() => hostileProxy()),
  returnThrowingGetter: returning(() => ({
    get field() {
      throw new Error("the getter of a field");
    },
  })),
  returnWeakMap: returning(() => new WeakMap()),
  returnDetached: returning(() => {
    const bytes = new Uint8Array(10);
    bytes.buffer.transfer();
    return transfer(bytes, [bytes.buffer]);
  }),
  returnTransferTwice: returning(() => {
    const bytes = new Uint8Array(10);
    return transfer(bytes, [bytes.buffer, bytes.buffer]);
  }),
  returnTransferOfNothing: returning(() => transfer(1, 17 as never)),
  returnUnreadable: returning((_n, me) => {
    me.deed();
    return unreadable();
  }),
  thenGetterThrows: returning(() => ({
    // biome-ignore lint/suspicious/noThenProperty: that is what this is about.
    get then() {
      throw new Error("the getter of then");
    },
  })),
  // biome-ignore lint/suspicious/noThenProperty: that is what this is about.
  thenThrows: returning(() => ({ then: () => raise("then") })),
  thenTwice: returning((n) => ({
    // biome-ignore lint/suspicious/noThenProperty: that is what this is about.
    then(ok: (value: unknown) => void, failed: (error: unknown) => void) {
      ok(n);
      failed(new Error("the second time"));
      ok(-n);
      throw new Error("the third time");
    },
  })),
  // biome-ignore lint/suspicious/noThenProperty: that is what this is about.
  promiseWhoseThenThrows: returning((n) => Object.assign(Promise.resolve(n), { then: () => raise("then of a promise") })),
  promiseWhoseThenCallsTwice: returning((n) =>
    Object.assign(Promise.resolve(n), {
      // biome-ignore lint/suspicious/noThenProperty: that is what this is about.
      then(ok: (value: unknown) => void, failed: (error: unknown) => void) {
        ok(n);
        ok(n);
        failed(new Error("then"));
      },
    }),
  ),
  postNull: returning((n) => {
    parentPort?.postMessage(null);
    return n;
  }),
  postForged: returning((n) => {
    for (const message of FORGED_MESSAGES) parentPort?.postMessage(message);
    return n;
  }),
  /** What `FORGED_MESSAGES` says, by the library's own port, which a task can get hold of. */
  postForgedOnItsPort: returning((n) => {
    for (const message of FORGED_MESSAGES) libraryPort().postMessage(message);
    return n;
  }),
  postUnreadable: returning((n) => {
    parentPort?.postMessage(unreadable());
    return n;
  }),
} satisfies Record<string, Body>;

function returning(what: (n: number, me: MyNotes) => unknown): Body {
  return ({ n }, _context, me) => {
    const value = what(n, me);
    me.ends("returned");
    return value;
  };
}

function raise(what: string): never {
  throw new Error(`${what} throws`);
}
