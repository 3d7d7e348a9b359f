import { setImmediate as drainMicrotasks } from "node:timers/promises";

/** Something that runs beside a model of it, which knows in which turn of the microtask queue each thing happens. */
interface Modelled<Command> {
  readonly model: { readonly hasDue: boolean; turn(): void };
  apply(command: Command): void;
  check(): void;
}

/** Lets all happen that is due, here and in the model. */
export async function drain({ model }: Pick<Modelled<never>, "model">): Promise<void> {
  await drainMicrotasks();
  while (model.hasDue) model.turn();
}

/**
 * Does the commands one after the other, with as many turns between them as they say, and checks after each; then `finish`, in the turn of
 * the last of them, and whatever is due.
 */
export async function interleave<Command extends { readonly do: string }>(
  run: Modelled<Exclude<Command, { readonly do: "drain" | "turn" }>>,
  commands: readonly Command[],
  finish: () => void = () => {},
): Promise<void> {
  for (const command of commands) {
    if (command.do === "drain") await drain(run);
    else if (command.do === "turn") {
      // Exactly one turn of the microtask queue: what was due runs, what that makes due does not.
      await null;
      run.model.turn();
    } else run.apply(command as Exclude<Command, { readonly do: "drain" | "turn" }>);
    run.check();
  }
  finish();
  await drain(run);
}
