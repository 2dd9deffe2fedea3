// Runs on one engine: it does not use the database.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createTurns } from '../../../src/http/listener/turns.ts';

test('a burst of writes starts one in each turn of the event loop, and reads start at once', async () => {
  const takeTurn = createTurns();
  const begun: string[] = [];
  const arrive = (method: string, name: string) => takeTurn(method, () => begun.push(name));
  for (const name of ['one', 'two', 'three']) arrive('POST', name);
  arrive('GET', 'a read');
  expect(begun).toEqual(['a read']);
  await nextTurn();
  expect(begun).toEqual(['a read', 'one']);
  arrive('GET', 'another read');
  await nextTurn();
  expect(begun).toEqual(['a read', 'one', 'another read', 'two']);
  await nextTurn();
  expect(begun.at(-1)).toBe('three');
  // And again after the queue was empty.
  arrive('DELETE', 'later');
  await nextTurn();
  expect(begun.at(-1)).toBe('later');
});
