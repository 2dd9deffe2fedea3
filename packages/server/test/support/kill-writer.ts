// Another program on the same SQLite file, in a separate process: it adds an event in a transaction, over and
// over, some of them slow, until its standard input ends; then it prints how many it has added.
import Sqlite from 'better-sqlite3';

/** Longer than the server lets SQLite wait for a lock, so that the server must retry. */
const SLOW_MS = 60;
const SLOW_EVERY = 200;

const [file = ''] = process.argv.slice(2);
const never = new Int32Array(new SharedArrayBuffer(4));
const db = new Sqlite(file, { timeout: 10_000 });
const insert = db.prepare(
  `insert into backchannel_events (id, at, type, ip, user_agent, session_id, token_id, detail)
   values (?, ?, 'logout', null, null, null, null, 'the other program')`,
);
// Ids begin with their time. These are in the future, so that tidying up leaves them.
let count = 0;
let isOver = false;
process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();

const write = () => {
  db.exec('begin immediate');
  insert.run(`ffff${String(count).padStart(20, '0')}`, Date.now());
  if (count % SLOW_EVERY === 0) Atomics.wait(never, 0, 0, SLOW_MS);
  db.exec('commit');
  count++;
  if (count === 1) console.log('writing');
  if (isOver) console.log(count);
  else setImmediate(write);
};
write();
