import type { Request, RequestHandler, Response } from "express";
import { z } from "zod";
import { BadRequest } from "../http/answers.ts";
import { readJsonObject } from "../http/json-body.ts";
import { readBody } from "../http/read-body.ts";

/** The parameters of the query, parsed by `schema`. Throws `BadRequest` for an unknown one and for one that breaks its rule. */
export function readQuery<Shape extends z.ZodRawShape>(request: Request, schema: z.ZodObject<Shape>): z.infer<z.ZodObject<Shape>> {
  return checked(schema, request.query, "parameter");
}

/**
 * The handlers of a route without parameters that takes a JSON body. `handle` gets it parsed by `schema`; no body is an empty object. Whatever
 * breaks a rule is answered with it.
 */
export function taking<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  handle: (request: Request, response: Response, body: z.infer<z.ZodObject<Shape>>) => Promise<void>,
): RequestHandler[] {
  return [
    readBody,
    (request, response) => {
      readQuery(request, NOTHING);
      const body: unknown = request.body;
      const object = body instanceof Buffer && body.length > 0 ? readJsonObject(body) : {};
      return handle(request, response, checked(schema, object, "field"));
    },
  ];
}

/** The schema of a route without parameters or fields. */
export const NOTHING = z.strictObject({});

function checked<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  value: unknown,
  what: "parameter" | "field",
): z.infer<z.ZodObject<Shape>> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue?.code !== "unrecognized_keys") throw new BadRequest(`${issue?.path.join(".")}: ${issue?.message}`);
  const known = Object.keys(schema.shape);
  throw new BadRequest(
    `${issue.keys[0]}: is not a known ${what}; ${known.length === 0 ? `there is none here` : `known are ${known.join(", ")}`}`,
  );
}
