import { execFileSync } from "node:child_process";

/** As whom a program runs. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

function idOfNobody(which: "-u" | "-g"): number {
  return Number(execFileSync("id", [which, "nobody"], { encoding: "utf8" }));
}

/** The account of the servers. PostgreSQL refuses to run as root, and initdb wants one that has a name. */
export const ACCOUNT: Account | undefined = process.getuid?.() === 0 ? { uid: idOfNobody("-u"), gid: idOfNobody("-g") } : undefined;

/** How a server's program is run: as its account, from a place where it may be, with messages in English. */
export const AS_SERVER = { ...ACCOUNT, cwd: "/", env: { PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC" } } as const;
