// Holds a service up between what it found out and what is done about it: what else happens then, happens in between.

type Method = (...input: never[]) => Promise<unknown>;

/** Lets the next call of `service[name]` find its answer and keeps that back until `release`; later calls go through. */
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
