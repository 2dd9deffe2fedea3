// The registry of background tasks: who runs them, what it counts, and how it ends.
// Runs on one engine: it never touches a database.
import { expect, test } from 'vitest';
import { createTasks, type Task } from '../../src/services/tasks.ts';

const never = 2 ** 30;
const task = (more: Partial<Task> & Pick<Task, 'run'>): Task => ({
  name: 'a task',
  everyMs: never,
  runs: 'each',
  ...more,
});

test('a task runs at its interval, and again after it failed', async () => {
  const failures: unknown[] = [];
  await using tasks = createTasks({
    isFirst: async () => true,
    onError: (error, { name }) => failures.push([name, error]),
  });
  let runs = 0;
  const run = async () => {
    if (++runs === 1) throw new Error('no database');
  };
  tasks.add(task({ everyMs: 1, run }));
  await expect.poll(() => runs).toBeGreaterThan(2);
  expect(failures).toEqual([['a task', new Error('no database')]]);
  const [figures] = tasks.figures();
  expect(figures).toMatchObject({ name: 'a task', failures: 1 });
  expect(figures?.runs).toBeGreaterThan(2);
});

test('a task for one instance runs on the first only, and is not counted elsewhere', async () => {
  let isFirst = false;
  await using tasks = createTasks({ isFirst: async () => isFirst, onError: () => {} });
  let runs = 0;
  const run = async () => {
    runs++;
  };
  tasks.add(task({ name: 'one', runs: 'one', run }));
  tasks.add(task({ name: 'each', runs: 'each', run }));
  await tasks.run('one');
  expect(runs).toBe(0);
  await tasks.run('each');
  expect(runs).toBe(1);
  isFirst = true;
  await tasks.run('one');
  expect(tasks.figures().map(({ name, runs }) => [name, runs])).toEqual([
    ['one', 1],
    ['each', 1],
  ]);
});

test('a run that is still going on takes the place of the next one', async () => {
  await using tasks = createTasks({ isFirst: async () => true, onError: () => {} });
  const { promise, resolve } = Promise.withResolvers<void>();
  let runs = 0;
  const run = () => {
    runs++;
    return promise;
  };
  tasks.add(task({ run }));
  const both = Promise.all([tasks.run('a task'), tasks.run('a task')]);
  resolve();
  await both;
  expect(runs).toBe(1);
});

test('the end waits for what is running', async () => {
  const tasks = createTasks({ isFirst: async () => true, onError: () => {} });
  const { promise, resolve } = Promise.withResolvers<void>();
  tasks.add(task({ run: () => promise }));
  const running = tasks.run('a task');
  let isOver = false;
  const ending = tasks[Symbol.asyncDispose]().then(() => {
    isOver = true;
  });
  await new Promise((later) => setImmediate(later));
  expect(isOver).toBe(false);
  resolve();
  await Promise.all([running, ending]);
});
