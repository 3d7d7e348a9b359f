import { expect } from "vitest";
import type { Answered, Documented } from "./documented.ts";

/** Answers, each checked against the document of a server. */
export class CheckedAnswers {
  readonly documented: Documented;
  /** Operations and the statuses that they have answered with, as `POST /order 200`. */
  readonly seen = new Set<string>();

  constructor(documented: Documented) {
    this.documented = documented;
  }

  /** Checks an answer, and notes that it was had. */
  check(method: string, path: string, answer: Answered, status = answer.status): void {
    expect([method, path, answer.status, this.documented.offences(method, path, answer)]).toEqual([method, path, status, []]);
    this.seen.add(`${method} ${path} ${answer.status}`);
  }
}
