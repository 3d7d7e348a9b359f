import { join } from "node:path";
import { z } from "zod";
import { BadRequest, sendJson } from "../http/answers.ts";
import type { Routes } from "../http/routes.ts";
import { BackupExists } from "../orders/operator-journal.ts";
import { JournalUnavailable } from "../orders/order-journal.ts";
import { actorOf, type OperatorParts } from "./operators.ts";
import { taking } from "./strict-input.ts";

const NO_BACKUP = {
  memory: "backup: a journal in memory has none; set JOURNAL to a file",
  postgres: "backup: PostgreSQL makes those of this journal; see docs/many-machines.md",
} as const;

// A growing backup ends in .partial. SQLite takes files with the other endings for parts of a database.
const NAME_RULE =
  "must be 1 to 100 letters, digits, dots, underscores and hyphens, beginning with a letter or digit and not ending in .partial, .lock, -wal, -shm or -journal";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const OF_ANOTHER_FILE = /(\.partial|\.lock|-wal|-shm|-journal)$/;
const BODY = z.strictObject({
  name: z.string(NAME_RULE).refine((name) => NAME.test(name) && !OF_ANOTHER_FILE.test(name), NAME_RULE),
});

/** `POST /backup`: a consistent copy of the journal, while it runs. */
export function backupRoutes({ journal, backups: { directory, store }, onAction }: OperatorParts): Routes {
  return {
    "/backup": {
      post: taking(BODY, async (request, response, { name }) => {
        if (store !== "file") throw new BadRequest(NO_BACKUP[store]);
        if (directory === undefined) throw new BadRequest("backup: there is no place for it; set BACKUP_DIR to a directory");
        const act = { actor: actorOf(request), action: "backup" } as const;
        const { bytes, durationMs } = await written(join(directory, name), name);
        onAction({ ...act, name });
        await journal.noteAction({ ...act, atMs: Date.now(), detail: name }).catch(unlessUnavailable);
        sendJson(response, 200, JSON.stringify({ status: "ok", name, bytes, duration_ms: Math.round(durationMs) }));
      }),
    },
  };

  async function written(file: string, name: string) {
    try {
      return await journal.backup(file);
    } catch (error) {
      if (error instanceof BackupExists) throw new BadRequest(`name: ${name} exists already in BACKUP_DIR`);
      throw error;
    }
  }
}

/** A backup is wanted most of all of a journal that cannot be written. That it was made stands in the log. */
function unlessUnavailable(error: unknown): void {
  if (!(error instanceof JournalUnavailable)) throw error;
}
