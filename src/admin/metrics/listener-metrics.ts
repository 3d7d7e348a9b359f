import type { Family } from "./family.ts";

/** What a listener counts. Read at each scrape. */
export interface ListenerCounts {
  readonly listener: "public" | "admin";
  /** Connections that are open. */
  readonly open: number;
  /** Connections that this side has closed; it has every reason from the start. */
  readonly closed: ReadonlyMap<string, number>;
  /** Requests without a valid key. */
  readonly unauthorized: number;
}

/** Metrics of who is connected, and of who was sent away. */
export function listenerFamilies(listeners: () => readonly ListenerCounts[]): Family[] {
  const ofEach = (value: (counts: ListenerCounts) => number) => () =>
    listeners().map((counts) => ({ labels: { listener: counts.listener }, value: value(counts) }));
  return [
    { name: "connections", type: "gauge", help: "Connections that are open.", samples: ofEach(({ open }) => open) },
    {
      name: "connections_closed_total",
      type: "counter",
      help: "Connections that the service closed on its clients, by reason.",
      samples: () => {
        const all = listeners();
        return [...(all[0]?.closed.keys() ?? [])].map((reason) => ({
          labels: { reason },
          value: all.reduce((sum, { closed }) => sum + (closed.get(reason) ?? 0), 0),
        }));
      },
    },
    {
      name: "unauthorized_total",
      type: "counter",
      help: "Requests that were refused for want of a valid key.",
      samples: ofEach(({ unauthorized }) => unauthorized),
    },
  ];
}
