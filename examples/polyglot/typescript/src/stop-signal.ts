// Owns SIGTERM and SIGINT: the first drains; the second, no longer caught, ends the process at once.

export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  const caught = () => {
    process.off("SIGTERM", caught).off("SIGINT", caught);
    stop.abort();
  };
  process.on("SIGTERM", caught).on("SIGINT", caught);
  return stop.signal;
}
