// Pauses a service between its answer and the use of that answer, so that a test can act in between.

type Method = (...input: never[]) => Promise<unknown>;

/** The next call of `service[name]` runs, and its answer is held back until `release`. Later calls are not affected. */
export function holdNext<Name extends string, Service extends Record<Name, Method>>(
  service: Service,
  name: Name,
): { reached: Promise<void>; release(): void } {
  const call = service[name];
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const held = async (...input: never[]) => {
    service[name] = call;
    const output = await call(...input);
    reached.resolve();
    await released.promise;
    return output;
  };
  service[name] = held as Service[Name];
  return { reached: reached.promise, release: released.resolve };
}
