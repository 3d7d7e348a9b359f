import { type Request, type Response, Router, raw } from "express";
import { type OrderDesk, Refused } from "../orders/order-desk.ts";
import { sendError, sendJson } from "./answers.ts";
import { onlyMethods } from "./methods.ts";
import { readOrder } from "./order-body.ts";
import { STATUS } from "./status.ts";

const MAX_BODY_BYTES = 16 * 1024;

/** `POST /order`. */
export function orderRoutes(desk: OrderDesk): Router {
  const router = Router();
  // Read as JSON whatever the Content-Type says: plain `curl -d` calls it a form.
  const body = raw({ type: () => true, limit: MAX_BODY_BYTES });
  router.route("/order").post(body, placeOrder).all(onlyMethods("POST"));
  return router;

  async function placeOrder(request: Request, response: Response): Promise<void> {
    // No body at all leaves none behind.
    const order = readOrder(request.body instanceof Buffer ? request.body : Buffer.alloc(0));
    let placement: ReturnType<OrderDesk["place"]>;
    try {
      placement = desk.place(order);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      sendError(response, error.kind, error.message);
      return;
    }
    // Fires after every answer too; leaving an order that has ended does nothing.
    response.once("close", placement.leave);
    const answer = await placement.answer;
    sendJson(response, answer.error === undefined ? 200 : STATUS[answer.error.kind], JSON.stringify(answer));
  }
}
