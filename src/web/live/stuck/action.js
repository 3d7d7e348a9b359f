import { ask, Refused } from "../admin-api.js";
import { element } from "../elements.js";

/**
 * @callback Act sends a request for a button, and shows beside the button what came of it
 * @param {HTMLButtonElement} button disabled until the answer is there
 * @param {HTMLElement} output
 * @param {string} path
 * @param {unknown} body
 * @param {(answer: any) => string} textOf
 * @returns {Promise<void>}
 */

/**
 * @param {(text: string) => void} announce
 * @param {() => void} onEnd after every answer and refusal
 * @returns {Act}
 */
export function actions(announce, onEnd) {
  return async (button, output, path, body, textOf) => {
    button.disabled = true;
    output.textContent = "…";
    /** @type {string} */
    let text;
    try {
      const answer = await ask(path, body);
      // `textOf` may disable the button for good.
      button.disabled = false;
      text = textOf(answer);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      button.disabled = false;
      text = error.message;
    }
    output.textContent = text;
    announce(text);
    onEnd();
  };
}

export function outputBeside() {
  return element("output", { class: "says" });
}
