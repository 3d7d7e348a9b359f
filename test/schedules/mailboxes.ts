import {
  BOXES,
  type ControlMemory,
  HELD,
  HELD_AT,
  HELD_TEXT,
  HISTORY,
  MAX_MESSAGES,
  MESSAGE_CHARS,
  MESSAGE_UNITS,
  POSTED,
  TAKEN,
} from "./control-words.ts";
import { mix } from "./seen-states.ts";

/** Messages between the threads of a scenario, in shared memory: to post one and to take it in takes no turn of an event loop. */
export class Mailboxes {
  readonly #words: Int32Array;
  readonly #text: Uint16Array;

  constructor({ words, text }: ControlMemory) {
    this.#words = words;
    this.#text = text;
  }

  hasMessage(thread: number): boolean {
    return this.#words[POSTED + thread] !== this.#words[TAKEN + thread];
  }

  /** Puts a message into a thread's box. */
  post(to: number, message: string): void {
    const n = this.#words[POSTED + to] as number;
    if (n - (this.#words[TAKEN + to] as number) >= MAX_MESSAGES) throw new Error(`the box of thread ${to} is full`);
    this.#words[POSTED + to] = n + 1;
    writeText(this.#text, this.#box(to, n), checked(message));
    for (let at = 0; at < message.length; at++) mix(this.#words, BOXES + to * 2, message.charCodeAt(at));
  }

  /** During the set-up: the message comes when that is over, at one time with all others that were held. One for each thread. */
  postLater(to: number, message: string): void {
    if (this.#words[HELD + to] === 1) throw new Error(`a message for thread ${to} is held already`);
    this.#words[HELD + to] = 1;
    writeText(this.#text, HELD_TEXT + to * MESSAGE_UNITS, checked(message));
  }

  /** Whether the box of a thread holds a message with these characters. */
  holds(thread: number, part: string): boolean {
    for (let n = this.#words[TAKEN + thread] as number; n < (this.#words[POSTED + thread] as number); n++) {
      if (readText(this.#text, this.#box(thread, n)).includes(part)) return true;
    }
    return false;
  }

  take(thread: number): string {
    const n = this.#words[TAKEN + thread] as number;
    if (n === this.#words[POSTED + thread]) throw new Error(`thread ${thread} has no message`);
    this.#words[TAKEN + thread] = n + 1;
    const message = readText(this.#text, this.#box(thread, n));
    for (let at = 0; at < message.length; at++) mix(this.#words, HISTORY + thread * 2, message.charCodeAt(at));
    return message;
  }

  /** Takes the first message that begins so, whatever is before it. Undefined where there is none. */
  takeFirst(thread: number, beginning: string): string | undefined {
    const end = this.#words[POSTED + thread] as number;
    for (let n = this.#words[TAKEN + thread] as number; n < end; n++) {
      const message = readText(this.#text, this.#box(thread, n));
      if (!message.startsWith(beginning)) continue;
      // Those before it move up, and it is the first.
      for (let to = n; to > (this.#words[TAKEN + thread] as number); to--) {
        writeText(this.#text, this.#box(thread, to), readText(this.#text, this.#box(thread, to - 1)));
      }
      writeText(this.#text, this.#box(thread, this.#words[TAKEN + thread] as number), message);
      return this.take(thread);
    }
    return undefined;
  }

  /** The set-up of this thread is over. */
  deliverHeld(to: number): void {
    this.#words[HELD_AT + to] = this.#words[POSTED + to] as number;
    if (this.#words[HELD + to] === 1) this.post(to, readText(this.#text, HELD_TEXT + to * MESSAGE_UNITS));
  }

  /** Whether the thread has taken the message that was held for it, or had none. */
  tookHeld(thread: number): boolean {
    return this.#words[HELD + thread] !== 1 || (this.#words[TAKEN + thread] as number) > (this.#words[HELD_AT + thread] as number);
  }

  #box(thread: number, n: number): number {
    return (thread * MAX_MESSAGES + (n % MAX_MESSAGES)) * MESSAGE_UNITS;
  }
}

export function writeText(units: Uint16Array, at: number, text: string): void {
  units[at] = text.length;
  for (let n = 0; n < text.length; n++) units[at + 1 + n] = text.charCodeAt(n);
}

export function readText(units: Uint16Array, at: number): string {
  const length = units[at] as number;
  return String.fromCharCode(...units.subarray(at + 1, at + 1 + length));
}

function checked(message: string): string {
  if (message.length > MESSAGE_CHARS) throw new Error(`a message of ${message.length} characters is too long`);
  return message;
}
