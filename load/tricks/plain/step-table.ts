import type { DispatchedStep } from "../../../src/threads/dispatched-step.ts";

/** `StepTable` on a `Map`. */
export class StepTable {
  readonly #steps = new Map<number, DispatchedStep>();
  #lastId = 0;

  get size(): number {
    return this.#steps.size;
  }

  get lastId(): number {
    return this.#lastId;
  }

  add(step: DispatchedStep): void {
    step.id = ++this.#lastId;
    this.#steps.set(step.id, step);
  }

  get(id: number): DispatchedStep | undefined {
    return this.#steps.get(id);
  }

  remove(step: DispatchedStep): void {
    this.#steps.delete(step.id);
  }

  all(): DispatchedStep[] {
    return [...this.#steps.values()];
  }

  forEach(visit: (step: DispatchedStep) => void): void {
    this.#steps.forEach(visit);
  }
}
