// Another program at work on the same SQLite file, in a process of its own: it adds an event in a transaction, over and
// over, until its standard input ends; then it prints how many it has added.
import Sqlite from 'better-sqlite3';

const [file = ''] = process.argv.slice(2);
const db = new Sqlite(file, { timeout: 10_000 });
const insert = db.prepare(
  `insert into events (id, at, type, ip, user_agent, session_id, token_id, detail)
   values (?, ?, 'logout', null, null, null, null, 'the other program')`,
);
let count = 0;
let isOver = false;
process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();

const write = () => {
  db.exec('begin immediate');
  insert.run(`0000${String(count).padStart(20, '0')}`, Date.now());
  db.exec('commit');
  count++;
  if (count === 1) console.log('writing');
  if (isOver) console.log(count);
  else setImmediate(write);
};
write();
