import { defineTasks, Failure } from "../../worker/index.ts";

export const tasks = defineTasks({
  async get(url: string, context): Promise<string> {
    const answer = await fetch(url, { signal: context.signal }); // Hangs up when the group is canceled.
    // The others go on without this one.
    if (!answer.ok) throw new Failure({ status: answer.status }, `status ${answer.status}`, { keepsSiblings: true });
    return await answer.text();
  },
});
