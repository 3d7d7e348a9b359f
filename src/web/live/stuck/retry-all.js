import { ask, Refused } from "../admin-api.js";
import { element, whileDisabled } from "../elements.js";
import { outputBeside } from "./action.js";

// The admin listener takes 32 at one time, and others may retry too.
const AT_ONCE = 8;
const LIMIT = 500;
// What came of it outlasts the list, which is empty by then, and not what comes into the list later.
const SAID_FOR_MS = 15_000;

/**
 * A button that tries all pending compensations now, at most 500.
 *
 * @param {(text: string) => void} announce
 * @param {() => void} onEnd
 */
export function retryAll(announce, onEnd) {
  const output = outputBeside();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let forgetting;
  const button = element("button", { type: "button" }, "Retry all");
  button.addEventListener("click", async () => {
    clearTimeout(forgetting);
    try {
      await whileDisabled(button, retry);
    } catch (error) {
      output.textContent = ifRefused(error).message;
    } finally {
      forgetting = setTimeout(() => output.replaceChildren(), SAID_FOR_MS);
      announce(output.textContent);
      onEnd();
    }
  });
  return element("p", { class: "inline retry-all" }, button, output);

  async function retry() {
    const { compensations } = await ask(`/compensations?limit=${LIMIT}`);
    let [tried, done] = [0, 0];
    const left = compensations.values();
    const client = async () => {
      for (const { id } of left) {
        // One that is being tried already is refused, and tried all the same.
        const row = await ask(`/compensations/${id}/retry`, {}).catch(ifRefused);
        tried++;
        if (row.state === "done") done++;
        output.textContent = `${tried} of ${compensations.length} tried, ${done} compensated`;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
  }
}

/** Gives the refusal, and throws anything else. @param {unknown} error @returns {any} */
function ifRefused(error) {
  if (error instanceof Refused) return error;
  throw error;
}
