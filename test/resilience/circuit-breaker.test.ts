import { describe, expect, test } from "vitest";
import { type CallVerdict, CircuitBreaker, type CircuitState, type Pass } from "../../src/resilience/circuit-breaker.ts";

const PROBE_EVERY_MS = 400;

let orders = 0;

function make(opensAfter?: number, random = 1) {
  const seen = { changes: [] as CircuitState[], nowMs: 1_000 };
  const circuit = new CircuitBreaker({ random: () => random, nowMs: () => seen.nowMs, ...(opensAfter !== undefined && { opensAfter }) });
  circuit.onChange((state) => void seen.changes.push(state));
  return { circuit, seen };
}

/** A call that must be let through; of an order of its own where none is named. */
function enter(circuit: CircuitBreaker, orderId = `order ${orders++}`): Pass {
  const pass = circuit.tryEnter(orderId);
  if (pass === undefined) throw new Error("the circuit refused a call");
  return pass;
}

/** Whether it lets no call through, asked in each way. */
function refuses(circuit: CircuitBreaker): boolean {
  const answers = [circuit.admits, circuit.retryAfterMs === 0, circuit.tryEnter("refused") !== undefined];
  expect(new Set(answers).size).toBe(1);
  return !circuit.admits;
}

function call(circuit: CircuitBreaker, verdict: CallVerdict, times = 1): void {
  for (let n = 0; n < times; n++) circuit.leave(enter(circuit), verdict);
}

function opened(random = 1) {
  const made = make(undefined, random);
  // Successes of before count for nothing.
  call(made.circuit, "ok", 10);
  call(made.circuit, "failed", 20);
  expect(made.circuit.state).toBe("open");
  return made;
}

describe("closed", () => {
  test("twenty failures in a row open it, or ten calls that hung; a success begins the count again", () => {
    const failing = make();
    call(failing.circuit, "failed", 19);
    call(failing.circuit, "ok");
    call(failing.circuit, "failed", 19);
    expect(failing.circuit.state).toBe("closed");
    call(failing.circuit, "failed");
    expect([failing.circuit.state, refuses(failing.circuit)]).toEqual(["open", true]);
    const hung = make();
    call(hung.circuit, "timed_out", 9);
    expect(hung.circuit.state).toBe("closed");
    call(hung.circuit, "timed_out");
    expect(hung.seen.changes).toEqual(["open"]);
  });

  test("one order that fails as often as it is sent opens nothing, nor do nineteen; a twentieth does", () => {
    const { circuit } = make();
    for (let n = 0; n < 1_900; n++) circuit.leave(enter(circuit, `bad ${n % 19}`), "failed", n % 2 === 0 ? 60_000 : 0);
    expect([circuit.state, circuit.admits, circuit.retryAfterMs]).toEqual(["closed", true, 0]);
    circuit.leave(enter(circuit, "another"), "failed");
    expect(circuit.state).toBe("open");
  });
});

describe("open", () => {
  test("lets one probe through in each interval, whether or not the one before has ended", () => {
    const { circuit, seen } = opened();
    for (let n = 0; n < 10; n++) {
      expect(circuit.retryAfterMs).toBe(PROBE_EVERY_MS);
      seen.nowMs += PROBE_EVERY_MS - 1;
      expect([refuses(circuit), circuit.retryAfterMs]).toEqual([true, 1]);
      seen.nowMs += 1;
      const probe = enter(circuit);
      expect(refuses(circuit)).toBe(true);
      if (n % 2 === 0) circuit.leave(probe, "failed");
    }
    expect(seen.changes).toEqual(["open"]);
  });

  test("the interval is half as long with the least jitter", () => {
    const { circuit, seen } = opened(0);
    expect(circuit.retryAfterMs).toBe(PROBE_EVERY_MS / 2);
    seen.nowMs += PROBE_EVERY_MS / 2;
    enter(circuit);
    expect(circuit.retryAfterMs).toBe(PROBE_EVERY_MS / 2);
  });

  test("a probe that was cut off gives its place back", () => {
    const { circuit, seen } = opened();
    seen.nowMs += PROBE_EVERY_MS;
    const probe = enter(circuit);
    expect(circuit.admits).toBe(false);
    circuit.leave(probe, undefined);
    expect(circuit.admits).toBe(true);
  });

  test("calls from before it opened change nothing, however they end", () => {
    const { circuit, seen } = make();
    const earlier = Array.from({ length: 3 }, () => enter(circuit));
    call(circuit, "failed", 20);
    for (const [index, verdict] of (["ok", "failed", undefined] as const).entries()) circuit.leave(earlier[index] as Pass, verdict);
    expect([circuit.state, refuses(circuit), seen.changes]).toEqual(["open", true, ["open"]]);
  });
});

describe("half-open", () => {
  function halfOpen() {
    const made = opened();
    made.seen.nowMs += PROBE_EVERY_MS;
    call(made.circuit, "ok");
    expect(made.circuit.state).toBe("half_open");
    return made;
  }

  test("lets three through at a time after the first success, then more, and closes after four", () => {
    const { circuit, seen } = halfOpen();
    const passes = [enter(circuit), enter(circuit), enter(circuit)];
    expect(refuses(circuit)).toBe(true);
    circuit.leave(passes[0] as Pass, "ok");
    passes.push(enter(circuit), enter(circuit), enter(circuit));
    expect(refuses(circuit)).toBe(true);
    circuit.leave(passes[1] as Pass, "ok");
    expect(circuit.state).toBe("half_open");
    circuit.leave(passes[2] as Pass, "ok");
    expect([circuit.state, seen.changes]).toEqual(["closed", ["open", "half_open", "closed"]]);
    // Those that are still under way were begun in a time of doubt.
    for (const pass of passes.slice(3)) circuit.leave(pass, "failed");
    call(circuit, "failed", 19);
    expect(circuit.state).toBe("closed");
  });

  test("three failures in a row open it again, or two calls that hang; a provider that fails half its calls gets through", () => {
    const probed = halfOpen();
    for (const verdict of ["failed", "ok", "failed", "failed", "ok", "failed", "ok"] as const) {
      expect(probed.circuit.state).toBe("half_open");
      call(probed.circuit, verdict);
    }
    expect(probed.circuit.state).toBe("closed");
    const hung = halfOpen();
    call(hung.circuit, "timed_out", 2);
    expect(hung.circuit.state).toBe("open");
    const { circuit, seen } = halfOpen();
    const again = [enter(circuit, "bad"), enter(circuit, "bad"), enter(circuit, "bad")];
    for (const pass of again) circuit.leave(pass, "failed");
    call(circuit, "failed", 1);
    expect(circuit.state).toBe("half_open");
    call(circuit, "failed");
    expect([refuses(circuit), circuit.retryAfterMs, seen.changes]).toEqual([true, PROBE_EVERY_MS, ["open", "half_open", "open"]]);
  });

  test("calls that were cut off give their places back, and those that hang do not keep it from trying", () => {
    const { circuit, seen } = halfOpen();
    const passes = [enter(circuit), enter(circuit), enter(circuit)];
    circuit.leave(passes[0] as Pass, undefined);
    enter(circuit);
    expect(refuses(circuit)).toBe(true);
    seen.nowMs += PROBE_EVERY_MS;
    enter(circuit);
    expect(refuses(circuit)).toBe(true);
  });

  test("probes from before the one that went well neither take a place nor open it again", () => {
    const { circuit, seen } = opened();
    const hanging = Array.from({ length: 6 }, () => {
      seen.nowMs += PROBE_EVERY_MS;
      return enter(circuit);
    });
    seen.nowMs += PROBE_EVERY_MS;
    call(circuit, "ok");
    const passes = [enter(circuit), enter(circuit), enter(circuit)];
    for (const pass of hanging) circuit.leave(pass, "timed_out");
    for (const pass of passes) circuit.leave(pass, "ok");
    expect(circuit.state).toBe("closed");
  });
});

describe("a provider that asks to wait", () => {
  /** Calls of several orders, all answered so. */
  function ask(circuit: CircuitBreaker, ms: number, times = 20): void {
    for (let n = 0; n < times; n++) circuit.leave(enter(circuit), "failed", ms);
  }

  test("as many orders as open a circuit gets no call until then, not even a probe, and then a probe", () => {
    const { circuit, seen } = make();
    ask(circuit, 5_000, 19);
    expect(refuses(circuit)).toBe(false);
    ask(circuit, 5_000, 1);
    expect([circuit.retryAfterMs, seen.changes]).toEqual([5_000, ["open"]]);
    seen.nowMs += 4_999;
    expect([refuses(circuit), circuit.retryAfterMs]).toEqual([true, 1]);
    seen.nowMs += 1;
    call(circuit, "ok");
    expect(circuit.state).toBe("half_open");
  });

  test("but one of them gets probes as usual", () => {
    for (const position of [0, 10, 19]) {
      const { circuit } = make();
      for (let n = 0; n < 20; n++) circuit.leave(enter(circuit), "failed", n === position ? 0 : 60_000);
      expect([circuit.state, circuit.retryAfterMs]).toEqual(["open", PROBE_EVERY_MS]);
    }
  });

  test("is asked again when the first of them may come back, and within a minute", () => {
    const { circuit, seen } = make();
    ask(circuit, 60_000, 5);
    circuit.leave(enter(circuit), "failed", 30_000);
    seen.nowMs += 25_000;
    ask(circuit, 60_000, 14);
    expect(circuit.retryAfterMs).toBe(5_000);
    // The first of all these has waited long enough.
    const slow = make();
    ask(slow.circuit, 10_000, 19);
    slow.seen.nowMs += 10_000;
    ask(slow.circuit, 10_000, 1);
    expect(slow.circuit.retryAfterMs).toBe(PROBE_EVERY_MS);
    const year = make();
    ask(year.circuit, 31_536_000_000);
    expect(year.circuit.retryAfterMs).toBe(60_000);
  });

  test("by three probes gets none until then, though one from before is cut off; one that goes well ends the wait", () => {
    const { circuit, seen } = opened();
    const probes = Array.from({ length: 8 }, () => {
      seen.nowMs += PROBE_EVERY_MS;
      return enter(circuit);
    });
    for (const probe of probes.slice(0, 3)) circuit.leave(probe, "failed", 60_000);
    circuit.leave(probes[3] as Pass, undefined);
    // Three more that ask for less do not end it either.
    for (const probe of probes.slice(4, 7)) circuit.leave(probe, "failed", 1_000);
    expect([refuses(circuit), circuit.retryAfterMs]).toEqual([true, 60_000]);
    seen.nowMs += 30_000;
    expect([refuses(circuit), circuit.retryAfterMs]).toEqual([true, 30_000]);
    circuit.leave(probes[7] as Pass, "ok");
    for (let n = 0; n < 3; n++) enter(circuit);
    expect([refuses(circuit), circuit.retryAfterMs]).toEqual([true, PROBE_EVERY_MS]);
  });

  test("by three probes gets none until then; by one it gets the next one as usual", () => {
    const { circuit, seen } = opened();
    for (const retryAfterMs of [PROBE_EVERY_MS, PROBE_EVERY_MS, 60_000 - 2 * PROBE_EVERY_MS]) {
      seen.nowMs += PROBE_EVERY_MS;
      ask(circuit, 60_000, 1);
      expect([circuit.state, circuit.retryAfterMs]).toEqual(["open", retryAfterMs]);
    }
    seen.nowMs += circuit.retryAfterMs;
    const probe = enter(circuit, "bad");
    seen.nowMs += PROBE_EVERY_MS;
    // Those that ask did not end the probe that is under way.
    ask(circuit, 60_000, 1);
    for (let n = 0; n < 5; n++) {
      seen.nowMs += PROBE_EVERY_MS;
      circuit.leave(enter(circuit, "bad"), "failed", 60_000);
      expect(circuit.retryAfterMs).toBe(PROBE_EVERY_MS);
    }
    circuit.leave(probe, "ok");
    expect([circuit.state, seen.changes]).toEqual(["half_open", ["open", "half_open"]]);
  });
});
