import { styleText } from "node:util";

/** What a user who has just started the service wants to know. */
export interface Started {
  /** Base URLs of the two listeners, without a slash at the end. */
  readonly api: string;
  readonly admin: string;
  /** From the start of the process until both listeners were open. */
  readonly tookMs: number;
}

type Style = Parameters<typeof styleText>[0];

const BOLD_GREEN: Style = ["bold", "green"];
const BOLD_CYAN: Style = ["bold", "cyan"];

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
  const styled = (style: Style, text: string): string => (colors ? styleText(style, text, { validateStream: false }) : text);
  return `${styled(BOLD_GREEN, "order pipeline is up")} after ${(tookMs / 1_000).toFixed(2)} s

  page   ${styled(BOLD_CYAN, `${admin}/`)}
         ${styled("dim", "every thread as it works, and buttons that make trouble: open this first")}
  API    ${api}
         ${styled("dim", `described at ${api}/docs`)}
  try    ${firstOrder(api)}
  stop   Ctrl-C ${styled("dim", "(orders in flight end first)")}

`;
}
