import type { Change } from "./project-copy.ts";

/** Code that is there for its cost alone, and the ordinary way of writing it. */
export interface Trick {
  readonly name: string;
  /** What takes its place. */
  readonly plain: string;
  /** What the trick saves some of. */
  readonly cost: "service, CPU us" | "client, CPU us" | "waiting, bytes" | "idle, MiB";
  readonly change: Change;
  /** No trick: its change is none. */
  readonly isControl?: true;
}

/** Another file in the place of one, with the same exports. */
const by = (file: string, plain: string): Change => ({ replaced: { [file]: `load/tricks/plain/${plain}.ts` } });
const edit = (file: string, ...pairs: readonly (readonly [from: string, to: string])[]): Change => ({
  edits: pairs.map(([from, to]) => ({ file, from, to })),
});

const AWAITED_TASK = `  async #whenEnded(running: Promise<unknown>, id: number, context: TaskContext): Promise<void> {
    let value: unknown;
    try {
      value = await running;
    } catch (error) {
      this.#end(id, context, outcomeOf(error, context), undefined);
      return;
    }
    this.#end(id, context, null, value);
  }

  #called(running`;

export const TRICKS: readonly Trick[] = [
  { name: "none", plain: "the same", cost: "service, CPU us", change: {}, isControl: true },
  {
    name: "message classes",
    plain: "Node's own, changed by Express",
    cost: "service, CPU us",
    change: by("src/http/message-classes.ts", "message-classes"),
  },
  { name: "order map", plain: "Map", cost: "service, CPU us", change: by("src/orders/order-map.ts", "order-map") },
  {
    name: "request writer",
    plain: "autocannon's setupRequest",
    cost: "client, CPU us",
    change: by("load/request-writer.ts", "request-writer"),
  },
  { name: "forget request", plain: "it is kept", cost: "waiting, bytes", change: by("src/http/forget-request.ts", "forget-request") },
  {
    name: "route without promise",
    plain: "async handler",
    cost: "waiting, bytes",
    change: edit(
      "src/http/order-routes.ts",
      [
        "function placeOrder(request: Request, response: Response): void",
        "async function placeOrder(request: Request, response: Response): Promise<void>",
      ],
      ["    orderService.place(placing).then(", "    await orderService.place(placing).then("],
      ["        answerWhenEnded(placement, response);", "        return answerWhenEnded(placement, response);"],
      [
        ": Placement, response: Response): void {\n    answer.then(",
        ": Placement, response: Response): Promise<void> {\n    return answer.then(",
      ],
    ),
  },
  {
    name: "promises passed on",
    plain: "await",
    cost: "waiting, bytes",
    change: {
      edits: [
        { file: "src/orders/pipeline.ts", from: "  run(input: AttemptInput, scope", to: "  async run(input: AttemptInput, scope" },
        {
          file: "src/orders/pipeline.ts",
          from: "order.group.spawn(start);\n    return join(order",
          to: "order.group.spawn(start);\n    return await join(order",
        },
        { file: "src/orders/attempt-runner.ts", from: "  run(attempt: Attempt): Promise", to: "  async run(attempt: Attempt): Promise" },
        {
          file: "src/orders/attempt-runner.ts",
          from: "return this.#options.pipeline.run(input, scope, attempt.priority).then(end,",
          to: "return await this.#options.pipeline.run(input, scope, attempt.priority).then(end,",
        },
      ],
    },
  },
  {
    name: "task without await",
    plain: "await",
    cost: "waiting, bytes",
    change: edit(
      "src/threads/worker/serve.ts",
      ["    this.#whenEnded(this.#run(", "    void this.#whenEnded(this.#run("],
      ["  #whenEnded(running", AWAITED_TASK],
    ),
  },
  {
    name: "list of listeners",
    plain: "Set of closures",
    cost: "waiting, bytes",
    change: by("src/threads/cancelable.ts", "cancelable"),
  },
  { name: "flat request id", plain: "randomUUID", cost: "waiting, bytes", change: by("src/http/request-id.ts", "request-id") },
  { name: "HTTP when asked for", plain: "import", cost: "idle, MiB", change: by("src/node-http.ts", "node-http") },
  { name: "compile cache", plain: "none", cost: "idle, MiB", change: edit("src/start.js", ['import "./compile-cache.js";', ""]) },
];
