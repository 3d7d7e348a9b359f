import { ANSWERED, BODIES, type ControlMemory, OVER, PHASE, TOOK, VERDICT, VERDICT_CHARS } from "./control-words.ts";
import { writeText } from "./mailboxes.ts";

/** What really happened to the tasks of a schedule, from whoever did it, and the verdict. In shared memory; any thread of a scenario. */
export class Ledger {
  readonly #words: Int32Array;
  readonly #text: Uint16Array;

  constructor({ words, text }: ControlMemory) {
    this.#words = words;
    this.#text = text;
  }

  /** The body of a task runs. */
  countBody(task: number): void {
    this.#words[BODIES + task] = this.bodies(task) + 1;
  }

  /** How often the body of a task has run. */
  bodies(task: number): number {
    return this.#words[BODIES + task] as number;
  }

  /** A thread takes the message that this task is in. */
  noteTook(task: number): void {
    this.#words[TOOK] = (this.#words[TOOK] as number) | (1 << task);
  }

  took(task: number): boolean {
    return ((this.#words[TOOK] as number) & (1 << task)) !== 0;
  }

  /** A thread has posted the outcome of this task. */
  noteAnswered(task: number): void {
    this.#words[ANSWERED] = (this.#words[ANSWERED] as number) | (1 << task);
  }

  /** A bit for each task whose outcome was posted. */
  get answered(): number {
    return this.#words[ANSWERED] as number;
  }

  /** Says what was wrong with this schedule, unless something was already. */
  accuse(text: string): void {
    if (this.#text[VERDICT] === 0 && this.#words[PHASE] !== OVER) writeText(this.#text, VERDICT, text.slice(0, VERDICT_CHARS));
  }
}
