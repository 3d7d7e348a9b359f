/** What a user who has just started the service wants to know. */
export interface Started {
  /** Base URLs of the two listeners, without a slash at the end. */
  readonly api: string;
  readonly admin: string;
  /** From the start of the process until both listeners were open. */
  readonly tookMs: number;
}

const BOLD_GREEN = "1;32";
const BOLD_CYAN = "1;36";
const DIM = "2";

/** Whether the environment of the process allows colors, by the rule of no-color.org. */
export function wantsColors({ NO_COLOR, TERM }: Readonly<Record<string, string | undefined>>): boolean {
  return (NO_COLOR === undefined || NO_COLOR === "") && TERM !== "dumb";
}

/** The command that places a first order. */
export function firstOrder(api: string): string {
  return `curl -s ${api}/order -d '{"order_id":"first","amount":1200}'`;
}

/** Lines for a terminal: the addresses, the time of the start and a first order to try. */
export function welcome({ api, admin, tookMs }: Started, { colors }: { readonly colors: boolean }): string {
  const styled = (style: string, text: string): string => (colors ? `\u001b[${style}m${text}\u001b[0m` : text);
  return `${styled(BOLD_GREEN, "order pipeline is up")} after ${(tookMs / 1_000).toFixed(2)} s

  page   ${styled(BOLD_CYAN, `${admin}/`)}
         ${styled(DIM, "every thread as it works, and buttons that make trouble: open this first")}
  API    ${api}
         ${styled(DIM, `described at ${api}/docs`)}
  try    ${firstOrder(api)}
  stop   Ctrl-C ${styled(DIM, "(orders in flight end first)")}

`;
}
