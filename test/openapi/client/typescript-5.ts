import { registerHooks } from "node:module";

// openapi-typescript prints with TypeScript 5's API, which TypeScript 7, the one that checks this project, does not have. npm cannot give
// it one of its own: a peer dependency stands beside it. So the other one has a name of its own, and this leads there.
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier === "typescript" && context.parentURL?.includes("/node_modules/openapi-typescript/") ? "typescript-5" : specifier,
      context,
    ),
});
