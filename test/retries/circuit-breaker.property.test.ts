import { expect, test } from "vitest";
import { randomFrom } from "../../load/stand-in/random.ts";
import { type CallVerdict, CircuitBreaker } from "../../src/retries/circuit-breaker.ts";

const SEED = process.env.SEED ?? String(Date.now());
const RUNS = 100;
// An order every so many milliseconds, and how long a call takes that is answered, hangs, or is cut off.
const EVERY_MS = 10;
const CALL_MS = 100;
const DEADLINE_MS = 2_000;
// The longest pause between probes, and two round trips; and one order more for each of them, which come in steps.
const RECOVERY_MS = 400 + 2 * CALL_MS + 3 * EVERY_MS;

interface UnderWay {
  readonly pass: number;
  readonly endsAtMs: number;
  readonly verdict: CallVerdict;
}

/** Lets orders come, one after the other, to a provider that is as it is told, and calls be cut off now and then. */
class Simulation {
  readonly circuit: CircuitBreaker;
  readonly random: () => number;
  nowMs = 0;
  admitted: number[] = [];
  #underWay: UnderWay[] = [];

  constructor(seed: string) {
    this.random = randomFrom(seed);
    this.circuit = new CircuitBreaker({ nowMs: () => this.nowMs, random: this.random });
  }

  /** Returns when the circuit was first closed. */
  run(ms: number, verdictOf: () => CallVerdict): number | undefined {
    let closedAtMs: number | undefined;
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += EVERY_MS) {
      for (const { pass, verdict } of this.#underWay.filter(({ endsAtMs }) => endsAtMs <= this.nowMs)) this.circuit.leave(pass, verdict);
      this.#underWay = this.#underWay.filter(({ endsAtMs }) => endsAtMs > this.nowMs);
      if (this.circuit.state === "closed") closedAtMs ??= this.nowMs;
      const admits = this.circuit.admits;
      const pass = this.circuit.tryEnter();
      if (admits !== (pass !== undefined)) throw new Error(`it admits: ${admits}, but gave the pass ${pass}`);
      if (pass === undefined) continue;
      this.admitted.push(this.nowMs);
      const verdict = verdictOf();
      const tookMs = verdict === "timed_out" ? DEADLINE_MS : this.random() * CALL_MS;
      this.#underWay.push({ pass, verdict, endsAtMs: this.nowMs + tookMs });
    }
    return closedAtMs;
  }
}

test(`whatever a provider does: while it is dead it gets probes only, and it is found again as soon as it is back (SEED=${SEED})`, () => {
  let opened = 0;
  for (let run = 0; run < RUNS; run++) {
    const simulation = new Simulation(`${SEED} ${run}`);
    const { circuit, random } = simulation;
    const cutOff = random() < 0.5 ? 0 : 0.3;
    // Cut off by others, however many: no fault of a provider that is well.
    simulation.run(1_000 + random() * 1_000, () => (random() < cutOff ? undefined : "ok"));
    expect(circuit.state, `run ${run}`).toBe("closed");
    const dead: CallVerdict = random() < 0.5 ? "timed_out" : "failed";
    simulation.run(DEADLINE_MS + 1_000 + random() * 5_000, () => dead);
    expect(circuit.state, `run ${run}`).toBe("open");
    opened++;
    simulation.admitted = [];
    simulation.run(10_000, () => dead);
    for (const [index, atMs] of simulation.admitted.slice(1).entries()) {
      expect(atMs - (simulation.admitted[index] ?? 0), `run ${run}`).toBeGreaterThanOrEqual(200);
    }
    expect(simulation.admitted.length, `run ${run}`).toBeGreaterThan(10_000 / 400 / 2);
    const backAtMs = simulation.nowMs;
    const closedAtMs = simulation.run(3_000, () => "ok");
    expect((closedAtMs ?? Number.POSITIVE_INFINITY) - backAtMs, `run ${run}`).toBeLessThanOrEqual(RECOVERY_MS);
    // It stays closed, though probes from before still hang until their deadline.
    expect(circuit.state, `run ${run}`).toBe("closed");
  }
  expect(opened).toBe(RUNS);
});
