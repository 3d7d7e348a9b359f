// The page imports types of server files, and one of those files sets this. The types of browsers lack it, because only V8 has it.
interface ErrorConstructor {
  stackTraceLimit: number;
}
