import { serve } from "../../workers/runtime/serve.ts";

/** Steps that write down the deadline they see, NaN for none. */
export default serve((settings: { readonly seen: SharedArrayBuffer }) => ({
  payment: {
    async run(_input, context) {
      new Float64Array(settings.seen)[0] = context.deadlineMs ?? Number.NaN;
    },
  },
}));
