import { expect } from "vitest";

/** The comparison of what came with what the model said, to be made when it has come. */
export type Comparison = () => Promise<void>;

export function equal(answer: Promise<unknown>, expected?: unknown): Comparison {
  return async () => expect(await answer).toEqual(expected);
}

/** Of a request that is refused with its own fault where the model says that it must be; otherwise `then` looks at what came. */
export function refusedUnless<T>(isExpected: boolean, answer: Promise<T>, then: (value: T) => void): Comparison {
  const outcome = answer.then(
    (value) => ({ value }),
    ({ message }: Error) => ({ message }),
  );
  return async () => {
    const came = await outcome;
    if ("value" in came && isExpected) then(came.value);
    else expect([isExpected, came]).toEqual([false, { message: expect.stringMatching(/is not open$|has not ended$|^UNIQUE/) }]);
  };
}

export function pick<T>(list: readonly T[], chosen: number): T | undefined {
  return list[chosen % list.length];
}
