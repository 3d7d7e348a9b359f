import "./typescript-5.ts";
import { text } from "node:stream/consumers";

// Reads an OpenAPI document on the standard input and writes the types of a client. Imported late, behind the hook.
const { default: openapiTS, astToString } = await import("openapi-typescript");
process.stdout.write(astToString(await openapiTS(await text(process.stdin))));
