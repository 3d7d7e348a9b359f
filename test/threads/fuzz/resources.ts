import { readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { eventually } from "../../support/eventually.ts";

// What a process needs is there after the first runs; later ones may only swing.
const WARM_UP_RUNS = 4;
const HEAP_ROOM_BYTES = 12e6;
const HEAP_MS = 5_000;
// Node's own pools start further threads when they are first needed.
const THREADS_ROOM = 3;
// A native call holds its thread for three seconds, whatever is done to it.
const DEATH_MS = 30_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Compares what the process holds between its runs of the library. */
export class Resources {
  #runs = 0;
  #heapBytes = 0;
  #threads = 0;

  /** After a run. Throws where there is more than after the first runs. */
  async check(): Promise<string> {
    const warm = ++this.#runs > WARM_UP_RUNS;
    const threads = await eventually(
      "no more OS threads than after the first runs",
      osThreads,
      (count) => !warm || count <= this.#threads + THREADS_ROOM,
      DEATH_MS,
    );
    const most = this.#heapBytes + HEAP_ROOM_BYTES;
    // Timers of canceled groups, the fuzzer's own among them, hold what was in the run for some hundred milliseconds after it.
    const heapBytes = await eventually(
      `no more than ${megabytes(most)} of heap, as after the first runs`,
      heap,
      (bytes) => !warm || bytes <= most,
      HEAP_MS,
    );
    if (!warm) {
      this.#threads = Math.max(this.#threads, threads);
      this.#heapBytes = Math.max(this.#heapBytes, heapBytes);
    }
    return `${megabytes(heapBytes)}, ${threads} OS threads`;
  }
}

function heap(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function osThreads(): number {
  return process.platform === "linux" ? readdirSync("/proc/self/task").length : 0;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
