// The page reads types of the server's files, and one of those sets this; of browsers only V8's have it.
interface ErrorConstructor {
  stackTraceLimit: number;
}
