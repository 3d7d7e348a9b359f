/** The journal did not open; the message is one line that names the setting, its value and the reason. */
export class JournalOpenError extends Error {
  constructor(journal: string, reason: string) {
    super(`JOURNAL=${JSON.stringify(journal)}: ${reason}`);
    this.name = "JournalOpenError";
  }
}
