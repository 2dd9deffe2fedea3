import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { createDeadline } from '../src/deadline.ts';
import { failureOf } from './stand-in.ts';

const HOUR_MS = 3_600_000;

test('a wait ends as soon as the caller aborts, with the caller’s reason', async () => {
  const leaving = new AbortController();
  const deadline = createDeadline(HOUR_MS, leaving.signal);
  const waited = failureOf(deadline.wait(HOUR_MS));
  leaving.abort('left');
  expect(await waited).toBe('left');
  expect(deadline.signal.reason).toBe('left');
  // A wait that starts after the abort rejects at once.
  expect(await failureOf(deadline.wait(HOUR_MS))).toBe('left');
  expect(await failureOf(createDeadline(HOUR_MS, leaving.signal).wait(HOUR_MS))).toBe('left');
});

test('a wait ends when the time is up', async () => {
  const deadline = createDeadline(1, null);
  expect(await failureOf(deadline.wait(HOUR_MS))).toMatchObject({ name: 'AbortError' });
});

test('a signal that is shared by many calls keeps no listeners of finished ones', async () => {
  const { signal } = new AbortController();
  for (let call = 0; call < 20; call++) {
    const deadline = createDeadline(Number.POSITIVE_INFINITY, signal);
    await deadline.wait(0);
    expect(getEventListeners(deadline.signal, 'abort')).toEqual([]);
    deadline.end();
  }
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
