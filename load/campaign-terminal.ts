/** How a campaign on a terminal is stopped, and tells what it does. */
export interface CampaignTerminal {
  readonly stop: AbortSignal;
  readonly say: (text: string) => void;
}

/** The first Ctrl-C ends the campaign as if all of it had been done; a second one ends the process at once. To be called once. */
export function campaignTerminal(): CampaignTerminal {
  const stop = new AbortController();
  process.removeAllListeners("SIGINT");
  process.once("SIGINT", () => {
    process.once("SIGINT", () => process.exit(130));
    stop.abort();
  });
  return { stop: stop.signal, say: (text) => void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`) };
}
