import { Agent, request } from "node:http";
import type { Hello, Tick } from "../../../src/admin/live/messages.ts";
import { eventually } from "../../support/eventually.ts";

/** Somebody who has the stream of events open. */
export interface Watching extends Disposable {
  readonly hello: Hello;
  readonly ticks: readonly Tick[];
  /** How the stream ended, once it has. */
  readonly ended: "whole" | "broken" | undefined;
  readonly retryMs: number | undefined;
}

/** Opens `GET /events` and waits for the first message. */
export async function watch(port: number): Promise<Watching> {
  const ticks: Tick[] = [];
  let hello: Hello | undefined;
  let retryMs: number | undefined;
  let ended: Watching["ended"];
  const outgoing = request({ host: "127.0.0.1", port, path: "/events", agent: new Agent() }, (incoming) => {
    let event = "";
    let rest = "";
    incoming.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(line);
    });
    const take = (line: string) => {
      const [field = "", ...words] = line.split(": ");
      const value = words.join(": ");
      if (field === "retry") retryMs = Number(value);
      else if (field === "event") event = value;
      else if (field === "data" && event === "hello") hello = JSON.parse(value);
      else if (field === "data" && event === "tick") ticks.push(JSON.parse(value));
    };
    incoming.on("end", () => (ended ??= "whole"));
    incoming.on("error", () => (ended ??= "broken"));
  });
  outgoing.on("error", () => (ended ??= "broken"));
  outgoing.end();
  await eventually("the first message", () => hello !== undefined || ended !== undefined);
  if (hello === undefined) throw new Error(`the stream ended before its first message: ${ended}`);
  const first = hello;
  return {
    hello: first,
    ticks,
    get ended() {
      return ended;
    },
    get retryMs() {
      return retryMs;
    },
    [Symbol.dispose]: () => void outgoing.destroy(),
  };
}
