import type { Backlog, Waiting } from "../../orders/operator-journal.ts";
import { STEPS } from "../../orders/steps.ts";
import type { Family, Sample } from "./family.ts";
import { Histogram } from "./histogram.ts";

// From a fast disk to one that makes every order late.
const COMMIT_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];

/** Metrics of the journal and its backlog. Main thread only. */
export class JournalMetrics {
  readonly #commitSeconds = new Histogram(COMMIT_SECONDS);
  #backlog: Backlog | undefined;
  #nodes: number | undefined;

  committed(milliseconds: number): void {
    this.#commitSeconds.observe(milliseconds / 1_000);
  }

  /**
   * Sets the backlog and the number of nodes to show. While the journal cannot be read (undefined) their series are left out: a stale number
   * would hide the fault.
   */
  show(backlog: Backlog | undefined, nodes?: number): void {
    this.#backlog = backlog;
    this.#nodes = nodes;
  }

  nodesFamily(): Family {
    return {
      name: "nodes",
      type: "gauge",
      help: "Nodes that live on this journal.",
      samples: () => (this.#nodes === undefined ? [] : [{ value: this.#nodes }]),
    };
  }

  families(healthy: () => boolean): Family[] {
    const gauge = (name: string, help: string, samples: (backlog: Backlog, nowMs: number) => readonly Sample[]): Family => ({
      name,
      type: "gauge",
      help,
      samples: () => (this.#backlog === undefined ? [] : samples(this.#backlog, Date.now())),
    });
    return [
      gauge("compensations_pending", "Steps of failed orders that are not compensated yet.", ({ compensations }) =>
        STEPS.map((step) => ({ labels: { step }, value: compensations[step].count })),
      ),
      gauge("compensation_oldest_seconds", "How long the oldest of them has waited; 0 where none waits.", ({ compensations }, nowMs) =>
        STEPS.map((step) => ({ labels: { step }, value: oldestSeconds(compensations[step], nowMs) })),
      ),
      gauge("events_pending", "Order events that are not delivered yet.", ({ events }) => [{ value: events.count }]),
      gauge("event_oldest_seconds", "How long the oldest of them has waited; 0 where none waits.", ({ events }, nowMs) => [
        { value: oldestSeconds(events, nowMs) },
      ]),
      gauge("dead_letters", "Order events that were given up.", ({ deadLetters }) => [{ value: deadLetters }]),
      gauge("journal_bytes", "Size of the journal and its log.", ({ bytes }) => [{ value: bytes }]),
      gauge("journal_free_bytes", "Room that is left for them on their disk; of a journal in a file only.", ({ freeBytes }) =>
        freeBytes === undefined ? [] : [{ value: freeBytes }],
      ),
      {
        name: "journal_healthy",
        type: "gauge",
        help: "1 while the journal can be written, 0 while it cannot and orders are refused.",
        samples: () => [{ value: healthy() ? 1 : 0 }],
      },
      {
        name: "journal_commit_seconds",
        type: "histogram",
        help: "How long a commit of the journal took until it was durable.",
        samples: () => this.#commitSeconds.samples("journal_commit_seconds"),
      },
    ];
  }
}

function oldestSeconds({ sinceMs }: Waiting, nowMs: number): number {
  return Math.max(0, nowMs - (sinceMs ?? nowMs)) / 1_000;
}
