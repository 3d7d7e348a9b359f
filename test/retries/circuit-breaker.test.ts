import { describe, expect, test } from "vitest";
import { type CallVerdict, CircuitBreaker, type CircuitState } from "../../src/retries/circuit-breaker.ts";

const PROBE_EVERY_MS = 400;

function make(opensAfter?: number) {
  const seen = { changes: [] as CircuitState[], nowMs: 1_000 };
  const circuit = new CircuitBreaker({
    random: () => 1,
    nowMs: () => seen.nowMs,
    onChange: (state) => void seen.changes.push(state),
    ...(opensAfter !== undefined && { opensAfter }),
  });
  return { circuit, seen };
}

/** A call that must be let through. */
function enter(circuit: CircuitBreaker): number {
  const pass = circuit.tryEnter();
  if (pass === undefined) throw new Error("the circuit refused a call");
  return pass;
}

function call(circuit: CircuitBreaker, verdict: CallVerdict, times = 1): void {
  for (let n = 0; n < times; n++) circuit.leave(enter(circuit), verdict);
}

function opened() {
  const made = make();
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
    expect([failing.circuit.state, failing.circuit.admits, failing.circuit.tryEnter()]).toEqual(["open", false, undefined]);
    const hung = make();
    call(hung.circuit, "timed_out", 9);
    expect(hung.circuit.state).toBe("closed");
    call(hung.circuit, "timed_out");
    expect(hung.seen.changes).toEqual(["open"]);
  });

  test("calls that were cut off say nothing: neither failure nor success", () => {
    const { circuit } = make();
    call(circuit, "failed", 19);
    call(circuit, undefined, 1_000);
    expect(circuit.state).toBe("closed");
    call(circuit, "failed");
    expect(circuit.state).toBe("open");
  });

  test("one that never opens does not, whatever it hears", () => {
    const { circuit } = make(Number.POSITIVE_INFINITY);
    call(circuit, "timed_out", 1_000);
    for (let n = 0; n < 10; n++) circuit.leave(enter(circuit), "failed", 5_000);
    expect([circuit.state, circuit.admits]).toEqual(["closed", true]);
  });
});

describe("open", () => {
  test("lets one probe through in each interval, whether or not the one before has ended", () => {
    const { circuit, seen } = opened();
    for (let n = 0; n < 10; n++) {
      seen.nowMs += PROBE_EVERY_MS - 1;
      expect(circuit.tryEnter()).toBeUndefined();
      seen.nowMs += 1;
      expect(circuit.admits).toBe(true);
      const probe = enter(circuit);
      expect([circuit.admits, circuit.tryEnter()]).toEqual([false, undefined]);
      if (n % 2 === 0) circuit.leave(probe, "failed");
    }
    expect(seen.changes).toEqual(["open"]);
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
    for (const [index, verdict] of (["ok", "failed", undefined] as const).entries()) circuit.leave(earlier[index] as number, verdict);
    expect([circuit.state, circuit.admits, seen.changes]).toEqual(["open", false, ["open"]]);
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
    expect(circuit.tryEnter()).toBeUndefined();
    circuit.leave(passes[0] as number, "ok");
    passes.push(enter(circuit), enter(circuit), enter(circuit));
    expect(circuit.tryEnter()).toBeUndefined();
    circuit.leave(passes[1] as number, "ok");
    expect(circuit.state).toBe("half_open");
    circuit.leave(passes[2] as number, "ok");
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
    call(circuit, "failed", 2);
    expect(circuit.state).toBe("half_open");
    call(circuit, "failed");
    expect([circuit.state, circuit.admits, seen.changes]).toEqual(["open", false, ["open", "half_open", "open"]]);
  });

  test("calls that were cut off give their places back, and those that hang do not keep it from trying", () => {
    const { circuit, seen } = halfOpen();
    const passes = [enter(circuit), enter(circuit), enter(circuit)];
    circuit.leave(passes[0] as number, undefined);
    enter(circuit);
    expect(circuit.tryEnter()).toBeUndefined();
    seen.nowMs += PROBE_EVERY_MS;
    enter(circuit);
    expect(circuit.tryEnter()).toBeUndefined();
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

describe("a provider that says when to ask again", () => {
  /** Calls of several orders, all answered so. */
  function ask(circuit: CircuitBreaker, ms: number, times = 3): void {
    const passes = Array.from({ length: times }, () => enter(circuit));
    for (const pass of passes) circuit.leave(pass, "failed", ms);
  }

  test("to three orders gets no call until then, not even a probe, and then a probe; to fewer it gets calls", () => {
    const { circuit, seen } = make();
    ask(circuit, 5_000, 2);
    expect([circuit.state, circuit.admits]).toEqual(["closed", true]);
    ask(circuit, 5_000, 1);
    expect([circuit.state, circuit.admits, seen.changes]).toEqual(["open", false, ["open"]]);
    seen.nowMs += 4_999;
    expect([circuit.admits, circuit.tryEnter()]).toEqual([false, undefined]);
    seen.nowMs += 1;
    call(circuit, "ok");
    expect(circuit.state).toBe("half_open");
  });

  test("to one order, whenever it comes back, keeps no other out", () => {
    const { circuit, seen } = make();
    for (let n = 0; n < 15; n++) {
      ask(circuit, 5_000, 1);
      expect([circuit.state, circuit.admits]).toEqual(["closed", true]);
      seen.nowMs += 5_000;
    }
  });

  test("an order that went well in between begins the count again; one that was cut off does not", () => {
    const { circuit } = make();
    ask(circuit, 5_000, 2);
    call(circuit, "ok");
    ask(circuit, 5_000, 2);
    expect(circuit.state).toBe("closed");
    call(circuit, undefined);
    ask(circuit, 5_000, 1);
    expect(circuit.state).toBe("open");
  });

  test("holds overlap, the last one counts, and none is longer than a minute", () => {
    const { circuit, seen } = make();
    const late = Array.from({ length: 6 }, () => enter(circuit));
    const leave = (from: number, ms: number) => {
      for (const pass of late.slice(from, from + 3)) circuit.leave(pass, "failed", ms);
    };
    ask(circuit, 9_000);
    leave(0, 3_000);
    seen.nowMs += 8_999;
    expect(circuit.admits).toBe(false);
    leave(3, 3_600_000);
    seen.nowMs += 59_999;
    expect(circuit.admits).toBe(false);
    seen.nowMs += 1;
    expect(circuit.admits).toBe(true);
  });
});
